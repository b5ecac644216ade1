/**
 * `$(NAME)` in commands, arguments and environment values, as Kubernetes expands it: a name that is not defined is
 * left as written, and `$$(NAME)` stands for a literal `$(NAME)`.
 */

/** Expands every reference of `text` that `values` knows. */
export const expandReferences = (text: string, values: ReadonlyMap<string, string>): string =>
  text.replaceAll(/\$\$|\$\(([^)]*)\)/g, (match, name: string | undefined) =>
    match === '$$' ? '$' : (values.get(name ?? '') ?? match),
  );
