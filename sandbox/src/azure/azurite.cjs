// Makes Azurite serve every account. It takes its accounts from an environment variable, before they exist.
// Started with `node --require azurite.cjs …/azurite/dist/src/blob/main.js`.
const crypto = require("node:crypto");
const fs = require("node:fs");
const path = require("node:path");

const entry = fs.realpathSync(process.argv[1]);
const store = require(path.join(path.dirname(entry), "..", "common", "AccountDataStore.js"));

// The keys are those that the emulator's listKeys answers.
const key = (account, name) => crypto.createHash("sha512").update(`${account}/${name}`).digest();

store.default.prototype.getAccount = (name) => ({ name, key1: key(name, "key1"), key2: key(name, "key2") });
