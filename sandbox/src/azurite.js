// Loaded before Azurite, which otherwise serves only the accounts that were listed when it started: those of the
// emulator come and go.
const crypto = require("node:crypto");
const fs = require("node:fs");
const path = require("node:path");

const entry = fs.realpathSync(process.argv[1]);
const store = require(path.join(path.dirname(entry), "../common/AccountDataStore.js")).default;

if (typeof store.prototype.getAccount !== "function") {
  throw new Error("this version of Azurite keeps its accounts elsewhere");
}

// The keys are those that the emulator's listKeys answers.
const key = (account, name) => crypto.createHash("sha512").update(`${account}/${name}`).digest();

store.prototype.getAccount = (name) => ({ name, key1: key(name, "key1"), key2: key(name, "key2") });
