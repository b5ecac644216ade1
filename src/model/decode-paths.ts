/** Which fields of something that came in are wrong. */
import type { Errors } from 'io-ts';

const MAX_PATHS = 16;

/**
 * Paths of the fields that did not decode, like `spec.env.A` (`$` for the whole), without duplicates, at most 16.
 * The values stay out: they may be secret and long.
 */
export const failedPaths = (errors: Errors): ReadonlyArray<string> => {
  const paths = errors.map(({ context }) =>
    context
      .map(({ key }) => key)
      // Intersections and unions add the number of the branch; it is no field of the object.
      .filter((key, i) => key !== '' && !isBranch(context[i - 1]?.type))
      .join('.'),
  );
  return [...new Set(paths.map((path) => path || '$'))].slice(0, MAX_PATHS);
};

const BRANCHING = new Set<unknown>(['IntersectionType', 'UnionType']);

const isBranch = (type: unknown): boolean =>
  typeof type === 'object' && type !== null && '_tag' in type && BRANCHING.has(type._tag);
