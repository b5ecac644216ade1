/** Which form of an answer does the client want? */
import { notAcceptable } from '../errors.js';
import type { IncludeObject } from '../table/table.js';

/** Form of an answer. */
export type Accepted = Readonly<
  { kind: 'object' } | { kind: 'metadata' } | { kind: 'table'; include: IncludeObject }
>;

/** Reads an Accept header; the first form the server knows wins. Throws 406. */
export const acceptedForm = (accept: string, includeObject: string | null): Accepted => {
  const include: IncludeObject =
    includeObject === 'None' || includeObject === 'Object' ? includeObject : 'Metadata';
  if (accept === '') return { kind: 'object' };
  for (const part of accept.split(',')) {
    const [media = '', ...parameters] = part.split(';').map((text) => text.trim());
    if (media !== 'application/json' && media !== '*/*' && media !== 'application/*') continue;
    const as = parameters.find((text) => text.startsWith('as='))?.slice(3);
    if (as === undefined) return { kind: 'object' };
    if (!parameters.includes('g=meta.k8s.io') || !parameters.includes('v=v1')) continue;
    if (as === 'Table') return { kind: 'table', include };
    if (as === 'PartialObjectMetadata' || as === 'PartialObjectMetadataList') return { kind: 'metadata' };
  }
  throw notAcceptable(
    'application/json, application/json;as=Table;g=meta.k8s.io;v=v1, application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1',
  );
};
