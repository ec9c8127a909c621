// The part of Storage that the tracker uses, as browsers have it: properties are keys, values become texts, deleting what
// is not there is no error (happy-dom's throws), and writing beyond the quota throws.

export interface FakeStorage {
  keys: Record<string, string>;
  full: boolean;
}

export const fakeStorage = (): FakeStorage => {
  const state: FakeStorage = { keys: {}, full: false };
  state.keys = new Proxy(Object.create(null) as Record<string, string>, {
    set(target, key: string, value) {
      if (state.full) throw new DOMException('The quota has been exceeded.', 'QuotaExceededError');
      target[key] = String(value);
      return true;
    },
  });
  return state;
};
