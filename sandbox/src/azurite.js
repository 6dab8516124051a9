// Loaded before Azurite, which otherwise serves only accounts that were listed when it started: accounts of the
// emulator come and go. Every account has the key of Azurite's well-known one.
const store = require("azurite/dist/src/common/AccountDataStore").default;
const { EMULATOR_ACCOUNT_KEY } = require("azurite/dist/src/common/utils/constants");

if (typeof store.prototype.getAccount !== "function" || !EMULATOR_ACCOUNT_KEY) {
  throw new Error("this version of Azurite keeps its accounts elsewhere");
}
store.prototype.getAccount = (name) => ({ name, key1: EMULATOR_ACCOUNT_KEY });
