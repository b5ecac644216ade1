/** `-o`: which form the answer takes. */
import { usage } from '../failure.js';

export type Format =
  | Readonly<{ kind: 'table'; wide: boolean }>
  | Readonly<{ kind: 'json' | 'yaml' | 'name' }>
  | Readonly<{ kind: 'jsonpath'; template: string }>;

export const FORMATS = ['table', 'wide', 'json', 'yaml', 'name', 'jsonpath='] as const;

/** The form that `-o TEXT` asks for; a table without it. Errors: Usage. */
export const parseFormat = (text: string | undefined): Format => {
  switch (text) {
    case undefined:
    case 'table':
      return { kind: 'table', wide: false };
    case 'wide':
      return { kind: 'table', wide: true };
    case 'json':
    case 'yaml':
    case 'name':
      return { kind: text };
  }
  if (text.startsWith('jsonpath=') && text.length > 'jsonpath='.length)
    return { kind: 'jsonpath', template: text.slice('jsonpath='.length) };
  throw usage(
    `-o ${text} is no output format`,
    `choose one of ${FORMATS.join(', ').replace('jsonpath=', 'jsonpath=TEMPLATE')}`,
  );
};
