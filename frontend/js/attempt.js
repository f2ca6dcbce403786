/**
 * One submission and its idempotency key.
 *
 * The same applicant sent again after a failure carries the same key, so that it is decided
 * once; a changed applicant, or one sent after an answer came, is a new submission.
 */

export class Attempts {
  #open = null;

  constructor(newKey = randomKey) {
    this.newKey = newKey;
  }

  /** The key to send this body under. */
  keyFor(body) {
    if (this.#open?.body !== body) this.#open = { body, key: this.newKey() };
    return this.#open.key;
  }

  /** The service took the submission: the next one is another. */
  settle() {
    this.#open = null;
  }
}

/** A random UUID; `randomUUID` is absent where the page is served without TLS. */
export function randomKey(source = globalThis.crypto) {
  return source.randomUUID?.() ?? uuidFrom(source.getRandomValues(new Uint8Array(16)));
}

// RFC 9562, section 5.4: version 4 in the seventh octet, the variant in the ninth.
function uuidFrom(octets) {
  octets[6] = (octets[6] & 0x0f) | 0x40;
  octets[8] = (octets[8] & 0x3f) | 0x80;
  const hex = Array.from(octets, (octet) => octet.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
