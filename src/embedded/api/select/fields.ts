/** Field selectors, as in `status.phase=Running,metadata.name!=x`. */
import { badRequest } from '../errors.js';

/** One term of a field selector. */
export type FieldTerm = Readonly<{ field: string; value: string; isEqual: boolean }>;

const unescaped = (text: string): string => text.replace(/\\([\\,=])/g, '$1');

/** Parses a field selector; `supported` says which fields a resource can be selected by. Throws a 400. */
export const parseFieldSelector = (text: string, supported: (field: string) => boolean): FieldTerm[] => {
  const terms: FieldTerm[] = [];
  for (const part of text.split(/(?<!\\),/)) {
    if (part.trim() === '') continue;
    const match = /^((?:\\.|[^=!\\])+)(==|!=|=)((?:\\.|[^\\])*)$/.exec(part.trim());
    if (match === null) throw badRequest(`invalid selector: '${text}'; can't understand '${part}'`);
    const [, field = '', operator, value = ''] = match;
    if (!supported(field)) throw badRequest(`field label not supported: ${field}`);
    terms.push({ field, value: unescaped(value), isEqual: operator !== '!=' });
  }
  return terms;
};

/** Whether an object's selectable fields satisfy all terms; an absent field counts as the empty text. */
export const matchesFields = (terms: readonly FieldTerm[], fieldOf: (field: string) => string): boolean =>
  terms.every(({ field, value, isEqual }) => (fieldOf(field) === value) === isEqual);
