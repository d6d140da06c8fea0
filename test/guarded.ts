/**
 * A view of `bytes` of which only places `at` up to `end` may be loaded or stored: anything else throws. A test that
 * decodes from it shows that a decoder stays inside its packet, which a buffer's bounds would not.
 */
export function guarded(bytes: Uint8Array, at: number, end: number): Uint8Array {
  const check = (key: string | symbol): void => {
    const index = typeof key === "string" ? Number(key) : Number.NaN;
    if (!Number.isNaN(index) && (index < at || index >= end)) {
      throw new RangeError(`byte ${index} lies outside the packet at ${at} to ${end}`);
    }
  };
  return new Proxy(bytes, {
    get: (target, key) => {
      check(key);
      return Reflect.get(target, key, target);
    },
    set: (target, key, value) => {
      check(key);
      return Reflect.set(target, key, value, target);
    },
  });
}
