/** GET of a collection: selectors, pages that belong to one moment, resource versions. */
import { ApiError, badRequest, expired, invalid, tooNewVersion } from '../errors.js';
import type { Entry } from '../store/entry.js';
import type { Tree } from '../store/store.js';
import type { Call } from './call.js';
import { selectionOf } from './selection.js';

/** A list as of one revision. */
export type Page = Readonly<{
  revision: number;
  entries: readonly Entry[];
  next?: string;
  remaining?: number;
}>;

/** Moments that are kept so that later pages show the same as the first one did. */
const maxMoments = 64;
/** How long a continue token is good for, milliseconds; as etcd's compaction interval. */
const momentMs = 5 * 60 * 1000;

type Moment = Readonly<{ revision: number; tree: Tree; untilMs: number }>;
/** `left`: objects after this page, where that is known. */
type Token = Readonly<{ revision: number; after: string; left: number | undefined }>;

const encodeToken = (token: Token): string =>
  Buffer.from(
    JSON.stringify({ v: 'meta.k8s.io/v1', rv: token.revision, start: token.after, left: token.left }),
  ).toString('base64url');

const decodeToken = (text: string): Token => {
  try {
    const { rv, start, left } = JSON.parse(Buffer.from(text, 'base64url').toString()) as {
      rv?: unknown;
      start?: unknown;
      left?: unknown;
    };
    if (typeof rv === 'number' && typeof start === 'string')
      return { revision: rv, after: start, left: typeof left === 'number' ? left : undefined };
  } catch {
    // Reported below.
  }
  throw badRequest('continue key is not valid: the token was not made by this server');
};

/** How many keys begin so. Counted once for a list, on its first page; at once where all of them do. */
const countOf = (tree: Tree, prefix: string): number => {
  if (tree.minKey()?.startsWith(prefix) && tree.maxKey()?.startsWith(prefix)) return tree.size;
  let count = 0;
  for (const key of tree.keys(prefix)) {
    if (!key.startsWith(prefix)) break;
    count += 1;
  }
  return count;
};

/** Lists pages of collections, each at the cost of its own length; it remembers the moments that pages in progress belong to. */
export class Lister {
  readonly #moments = new Map<string, Moment>();

  /** One page. Throws 400 for options that do not go together, 410 for a token that is too old. */
  list(call: Call): Page {
    const { backend, type, query } = call;
    const selection = selectionOf(call);
    const limitText = query.get('limit') ?? '0';
    if (!/^[0-9]+$/.test(limitText))
      throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(limitText)}: invalid syntax`);
    const limit = Number(limitText);
    const token = query.get('continue') ? decodeToken(query.get('continue') ?? '') : undefined;
    checkVersionOptions(call, token !== undefined);
    const { tree, revision } = token === undefined ? this.#now(call) : this.#moment(call, token);
    if (selection.key !== undefined && token === undefined) {
      const only = tree.get(selection.key);
      return { revision, entries: only !== undefined && selection.includes(only) ? [only] : [] };
    }
    const prefix = selection.namespace === '' ? '' : `${selection.namespace}/`;
    const entries: Entry[] = [];
    let last = '';
    let isWhole = true;
    for (const [key, entry] of tree.entries(token === undefined ? prefix : token.after)) {
      if (!key.startsWith(prefix)) break;
      if (token !== undefined && key <= token.after) continue;
      if (!selection.includes(entry)) continue;
      if (limit > 0 && entries.length === limit) {
        isWhole = false;
        break;
      }
      entries.push(entry);
      last = key;
    }
    if (isWhole) return { revision, entries };
    const before = token === undefined ? (selection.isAll ? countOf(tree, prefix) : undefined) : token.left;
    const left = before === undefined ? undefined : before - entries.length;
    this.#keep(
      `${type.storage}@${revision}`,
      { tree, revision, untilMs: backend.nowMs() + momentMs },
      backend.nowMs(),
    );
    return {
      revision,
      entries,
      next: encodeToken({ revision, after: last, left }),
      ...(left === undefined ? {} : { remaining: left }),
    };
  }

  #now({ backend, type }: Call): Pick<Moment, 'tree' | 'revision'> {
    return { tree: backend.store.snapshot(type.storage), revision: backend.store.revision };
  }

  #moment({ backend, type }: Call, token: Token): Pick<Moment, 'tree' | 'revision'> {
    const moment = this.#moments.get(`${type.storage}@${token.revision}`);
    if (moment !== undefined && moment.untilMs > backend.nowMs()) return moment;
    throw expired(
      'The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter.',
    );
  }

  #keep(key: string, moment: Moment, nowMs: number): void {
    for (const [old, { untilMs }] of this.#moments) if (untilMs <= nowMs) this.#moments.delete(old);
    this.#moments.delete(key);
    this.#moments.set(key, moment);
    for (const old of this.#moments.keys()) {
      if (this.#moments.size <= maxMoments) break;
      this.#moments.delete(old);
    }
  }
}

const checkVersionOptions = ({ backend, query }: Call, hasToken: boolean): void => {
  const version = query.get('resourceVersion') ?? '';
  const match = query.get('resourceVersionMatch') ?? '';
  const refuse = (field: string, detail: string, value: string): never => {
    throw invalid('meta.k8s.io', 'ListOptions', '', [{ type: 'Forbidden', field, value, detail }]);
  };
  if (match !== '' && version === '')
    refuse(
      'resourceVersionMatch',
      'resourceVersionMatch is forbidden unless resourceVersion is provided',
      match,
    );
  if (match !== '' && hasToken)
    refuse('resourceVersionMatch', 'resourceVersionMatch is forbidden when continue is provided', match);
  if (match !== '' && match !== 'Exact' && match !== 'NotOlderThan') {
    throw invalid('meta.k8s.io', 'ListOptions', '', [
      {
        type: 'NotSupported',
        field: 'resourceVersionMatch',
        value: match,
        detail: 'supported values: "Exact", "NotOlderThan", ""',
      },
    ]);
  }
  if (match === 'Exact' && version === '0')
    refuse(
      'resourceVersionMatch',
      'resourceVersionMatch "exact" is forbidden for resourceVersion "0"',
      match,
    );
  if (version === '') return;
  if (hasToken && version !== '0')
    throw badRequest('specifying resource version is not allowed when using continue');
  checkNotInFuture(version, backend.store.revision);
  if (match === 'Exact' && Number(version) !== backend.store.revision)
    throw expired(`The resourceVersion for the provided list is too old.`);
};

/** Throws 500 (as Kubernetes does) for a version that is no number, 504 for one that does not exist yet. */
export const checkNotInFuture = (version: string, current: number): void => {
  if (!/^[0-9]+$/.test(version)) {
    throw new ApiError(
      500,
      '',
      `resourceVersion: Invalid value: ${JSON.stringify(version)}: strconv.ParseUint: parsing ${JSON.stringify(version)}: invalid syntax`,
    );
  }
  if (Number(version) > current) throw tooNewVersion(version, current);
};
