type Class = abstract new (...parameters: never[]) => object;

/**
 * Makes a light class stand in for a standard one: its objects are instances of both, and all that the light class does
 * not have itself is answered by the real object behind one of its objects. The standard class is named by a function
 * because naming it loads fetch, and that waits until something of it is asked for.
 */
export function standInFor(light: Class, standard: () => Class, realOf: (object: unknown) => object | undefined): void {
  const behind = new Proxy(
    {},
    {
      getPrototypeOf: () => standard().prototype as object,
      has: (_target, name) => Reflect.has(standard().prototype as object, name),
      set: (_target, name, value, receiver) => Reflect.set(standard().prototype as object, name, value, receiver),
      get(_target, name, receiver) {
        // Asked of everything that is awaited, and no standard class has it.
        if (name === 'then') return undefined;
        if (name === 'constructor') return standard();
        const real = realOf(receiver);
        if (real === undefined) return Reflect.get(standard().prototype as object, name) as unknown;
        const value = Reflect.get(real, name) as unknown;
        return typeof value === 'function' ? (value.bind(real) as unknown) : value;
      },
    },
  );
  Object.setPrototypeOf(light.prototype, behind);
}
