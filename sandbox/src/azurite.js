// Loaded before Azurite, for what it lacks: accounts that come and go, and CRC64.
const crypto = require("node:crypto");
const fs = require("node:fs");
const path = require("node:path");
const { Transform } = require("node:stream");

const blob = path.dirname(fs.realpathSync(process.argv[1]));
const store = require(path.join(blob, "../common/AccountDataStore.js")).default;
const BlockBlobHandler = require(path.join(blob, "handlers/BlockBlobHandler.js")).default;
const strict = require(path.join(blob, "middlewares/StrictModelMiddlewareFactory.js"));
const StorageError = require(path.join(blob, "errors/StorageError.js")).default;

const needed = [
  store.prototype.getAccount,
  BlockBlobHandler.prototype.upload,
  BlockBlobHandler.prototype.stageBlock,
  strict.UnsupportedHeadersBlocker,
  StorageError,
];
if (needed.some((one) => typeof one !== "function")) {
  throw new Error("this version of Azurite is not the one that sandbox/src/azurite.js was written for");
}

// Azurite serves only the accounts that were listed when it started: those of the emulator come and go. The keys are those
// that the emulator's listKeys answers.
const key = (account, name) => crypto.createHash("sha512").update(`${account}/${name}`).digest();

store.prototype.getAccount = (name) => ({ name, key1: key(name, "key1"), key2: key(name, "key2") });

// Azure compares the CRC64 of what arrives with the one that was sent, and tells the one that it computed. Azurite refuses
// the header; here it is held to what Azure does for block blobs, and refused for the others.
const CRC64 = "x-ms-content-crc64";

/** CRC-64/NVME in halves of 32 bits, since JavaScript's larger integers are slow. */
class Crc64 {
  static table = Array.from({ length: 256 }, (_, byte) => {
    let [high, low] = [0, byte];
    for (let bit = 0; bit < 8; bit += 1) {
      const odd = low & 1;
      low = (low >>> 1) | (high << 31);
      high >>>= 1;
      if (odd) [high, low] = [high ^ 0x9a6c9329, low ^ 0xac4bc9b5];
    }
    return [high >>> 0, low >>> 0];
  });

  high = 0xffffffff;
  low = 0xffffffff;

  update(bytes) {
    let { high, low } = this;
    for (let at = 0; at < bytes.length; at += 1) {
      const entry = Crc64.table[(low ^ bytes[at]) & 0xff];
      low = ((low >>> 8) | (high << 24)) ^ entry[1];
      high = (high >>> 8) ^ entry[0];
    }
    [this.high, this.low] = [high, low];
  }

  digest() {
    const bytes = Buffer.alloc(8);
    bytes.writeUInt32LE(~this.low >>> 0, 0);
    bytes.writeUInt32LE(~this.high >>> 0, 4);
    return bytes;
  }
}

const refuse = strict.UnsupportedHeadersBlocker;
strict.UnsupportedHeadersBlocker = (request, context, logger) => {
  const what = request.getQuery("comp") ?? request.getHeader("x-ms-blob-type");
  const compared = request.getMethod() === "PUT" && ["block", "BlockBlob"].includes(what);
  const getHeader = (name) => (compared && name === CRC64 ? undefined : request.getHeader(name));
  return refuse({ getHeader }, context, logger);
};

/** The handler for one request, whose body is compared when all of it has arrived and before there is a blob of it. */
function comparing(handler, context, crc) {
  const sent = context.request.getHeader(CRC64);
  const appendExtent = async (body, contextId) => {
    const through = new Transform({
      transform(bytes, _, done) {
        crc.update(bytes);
        done(null, bytes);
      },
    });
    // A body that is cut ends, too: Azurite compares the lengths.
    for (const end of ["close", "error"]) body.on(end, () => through.end());
    const extent = await handler.extentStore.appendExtent(body.pipe(through), contextId);
    if (sent !== undefined && !Buffer.from(sent, "base64").equals(crc.digest())) {
      const sentence = "The CRC64 value in the request is not that of what arrived.";
      throw new StorageError(400, "Crc64Mismatch", sentence, contextId);
    }
    return extent;
  };
  const extentStore = Object.create(handler.extentStore, { appendExtent: { value: appendExtent } });
  return Object.create(handler, { extentStore: { value: extentStore } });
}

for (const [verb, at] of [["upload", 3], ["stageBlock", 4]]) {
  const plain = BlockBlobHandler.prototype[verb];
  BlockBlobHandler.prototype[verb] = async function (...request) {
    const [context, crc] = [request[at], new Crc64()];
    const answer = await plain.apply(comparing(this, context, crc), request);
    context.response.setHeader(CRC64, crc.digest().toString("base64"));
    return answer;
  };
}
