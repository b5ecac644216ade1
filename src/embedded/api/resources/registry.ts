/** Which resources are served right now: the built-in ones and those of CustomResourceDefinitions. */
import type { ResourceType } from './resource-type.js';

/** All served resources; CRDs come and go while the server runs. */
export class Registry {
  readonly #byPath = new Map<string, ResourceType>();
  readonly #byStorage = new Map<string, ResourceType>();

  constructor(builtins: readonly ResourceType[]) {
    for (const type of builtins) this.add(type);
  }

  /** Serves a resource, in place of an older description of it. */
  add(type: ResourceType): void {
    this.#byPath.set(`${type.group}/${type.version}/${type.plural}`, type);
    const stored = this.#byStorage.get(type.storage);
    if (stored === undefined || stored.kind === type.kind) this.#byStorage.set(type.storage, type);
  }

  /** Stops serving a resource in all versions. */
  remove(group: string, plural: string): void {
    for (const [path, type] of this.#byPath) {
      if (type.group === group && type.plural === plural) this.#byPath.delete(path);
    }
    this.#byStorage.delete(`${group}/${plural}`);
  }

  /** Stops serving one version of a resource. */
  removeVersion(group: string, version: string, plural: string): void {
    this.#byPath.delete(`${group}/${version}/${plural}`);
  }

  find(group: string, version: string, plural: string): ResourceType | undefined {
    return this.#byPath.get(`${group}/${version}/${plural}`);
  }

  /** The type of the objects of a storage resource. */
  ofStorage(storage: string): ResourceType | undefined {
    return this.#byStorage.get(storage);
  }

  /** The resource of a kind, for owner references. */
  ofKind(apiVersion: string, kind: string): ResourceType | undefined {
    const slash = apiVersion.indexOf('/');
    const group = slash < 0 ? '' : apiVersion.slice(0, slash);
    return this.all().find((type) => type.group === group && type.kind === kind);
  }

  all(): ResourceType[] {
    return [...this.#byPath.values()];
  }
}
