/** A kind of object as the API serves it. `group` is '' for core. */
export type Resource = Readonly<{
  group: string;
  version: string;
  plural: string;
  kind: string;
  namespaced: boolean;
}>;
