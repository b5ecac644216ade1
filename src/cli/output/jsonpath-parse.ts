/** Kubernetes' JSONPath dialect, from text to a tree: literal text and `{...}` actions, ranges nested. */
import { Failure } from '../failure.js';

/** One step of a path. */
export type Step =
  | Readonly<{ kind: 'root' | 'current' | 'wildcard' | 'recursive' }>
  | Readonly<{ kind: 'field'; name: string }>
  | Readonly<{ kind: 'slice'; from: number | undefined; to: number | undefined; step: number }>
  | Readonly<{ kind: 'index'; index: number }>
  | Readonly<{ kind: 'filter'; left: Operand; operator: Operator; right: Operand | undefined }>
  | Readonly<{ kind: 'union'; paths: ReadonlyArray<Path> }>;
export type Path = ReadonlyArray<Step>;
export type Operator = '==' | '!=' | '<' | '<=' | '>' | '>=' | 'exists';
/** A side of a filter's comparison. */
export type Operand =
  | Readonly<{ kind: 'path'; path: Path }>
  | Readonly<{ kind: 'value'; value: string | number | boolean }>;

/** A piece of a template. */
export type Node =
  | Readonly<{ kind: 'text'; text: string }>
  | Readonly<{ kind: 'path'; path: Path }>
  | Readonly<{ kind: 'range'; path: Path; body: ReadonlyArray<Node> }>;

/** Reads characters of one template; every error names the place. */
class Reader {
  position = 0;
  constructor(readonly text: string) {}
  get done(): boolean {
    return this.position >= this.text.length;
  }
  peek(length = 1): string {
    return this.text.slice(this.position, this.position + length);
  }
  /** Consumes `expected` if it comes next. */
  accept(expected: string): boolean {
    if (!this.text.startsWith(expected, this.position)) return false;
    this.position += expected.length;
    return true;
  }
  match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.position;
    const found = pattern.exec(this.text)?.[0];
    if (found !== undefined) this.position += found.length;
    return found;
  }
  spaces(): void {
    this.match(/\s*/y);
  }
  fail(what: string): never {
    throw new Failure('Usage', `jsonpath: ${what} at character ${this.position + 1} of ${this.text}`, {
      hint: "an example: -o jsonpath='{.status.phase}'",
    });
  }
}

const ESCAPES: Readonly<Record<string, string>> = {
  n: '\n',
  t: '\t',
  r: '\r',
  '\\': '\\',
  '"': '"',
  "'": "'",
};

/** A quoted text; the quote is the next character. */
const quoted = (reader: Reader): string => {
  const quote = reader.peek();
  reader.position += 1;
  let text = '';
  while (!reader.done && reader.peek() !== quote) {
    if (reader.accept('\\')) {
      const escaped = reader.peek();
      text += ESCAPES[escaped] ?? `\\${escaped}`;
    } else text += reader.peek();
    reader.position += 1;
  }
  if (!reader.accept(quote)) reader.fail('a quoted text does not end');
  return text;
};

const isQuote = (character: string): boolean => character === '"' || character === "'";

/** A field name after a dot; `\.` stands for a dot in it. */
const fieldName = (reader: Reader): string =>
  (reader.match(/(?:\\.|[^\s.[\](){}|=!<>,"'@$*&?:\\])+/y) ?? reader.fail('a field name is missing')).replace(
    /\\(.)/g,
    '$1',
  );

const integer = (reader: Reader): number | undefined => {
  const digits = reader.match(/-?\d+/y);
  return digits === undefined ? undefined : Number(digits);
};

const operand = (reader: Reader): Operand => {
  reader.spaces();
  if (isQuote(reader.peek())) return { kind: 'value', value: quoted(reader) };
  const word = reader.match(/(?:true|false)\b|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/y);
  if (word === 'true' || word === 'false') return { kind: 'value', value: word === 'true' };
  if (word !== undefined) return { kind: 'value', value: Number(word) };
  const path = steps(reader);
  if (path.length === 0) reader.fail('a value or a path like @.name is missing');
  return { kind: 'path', path };
};

/** The rest of `[?(...)]` after `?(`. */
const filter = (reader: Reader): Step => {
  const left = operand(reader);
  reader.spaces();
  const operator = reader.match(/==|!=|<=|>=|<|>/y) as Operator | undefined;
  const right = operator === undefined ? undefined : operand(reader);
  reader.spaces();
  if (!reader.accept(')')) reader.fail('a filter must end with )');
  return { kind: 'filter', left, operator: operator ?? 'exists', right };
};

/** One member of a bracket: `*`, `'name'`, `?(...)`, `3`, `1:3:1`. */
const member = (reader: Reader): Step => {
  reader.spaces();
  if (reader.accept('*')) return { kind: 'wildcard' };
  if (reader.accept('?(')) return filter(reader);
  if (isQuote(reader.peek())) return { kind: 'field', name: quoted(reader) };
  const from = integer(reader);
  if (!reader.accept(':'))
    return from === undefined ? reader.fail('an index is missing') : { kind: 'index', index: from };
  const to = integer(reader);
  const step = reader.accept(':') ? (integer(reader) ?? 1) : 1;
  if (step <= 0) reader.fail('the step of a slice must be above 0');
  return { kind: 'slice', from, to, step };
};

/** What stands in brackets, after the opening one. */
const bracket = (reader: Reader): Step => {
  const members = [member(reader)];
  reader.spaces();
  while (reader.accept(',')) {
    members.push(member(reader));
    reader.spaces();
  }
  if (!reader.accept(']')) reader.fail('a bracket does not end with ]');
  const [only] = members;
  return members.length === 1 && only ? only : { kind: 'union', paths: members.map((step) => [step]) };
};

const steps = (reader: Reader): Path => {
  const path: Step[] = [];
  for (;;) {
    if (path.length === 0 && reader.accept('$')) path.push({ kind: 'root' });
    else if (path.length === 0 && reader.accept('@')) path.push({ kind: 'current' });
    else if (reader.accept('[')) path.push(bracket(reader));
    else if (reader.accept('..')) {
      path.push({ kind: 'recursive' });
      if (reader.peek() === '[') continue;
      path.push(reader.accept('*') ? { kind: 'wildcard' } : { kind: 'field', name: fieldName(reader) });
    } else if (reader.accept('.')) {
      if (reader.accept('*')) path.push({ kind: 'wildcard' });
      // `{.}` is the object itself, and `.['name']` a field.
      else if (reader.peek() !== '[' && !(path.length === 0 && /^[\s})]?$/.test(reader.peek())))
        path.push({ kind: 'field', name: fieldName(reader) });
      else if (path.length === 0) path.push({ kind: 'current' });
    } else return path;
  }
};

/** The nodes up to the end of the text, or of the range when `inRange`. */
const nodes = (reader: Reader, inRange: boolean): ReadonlyArray<Node> => {
  const found: Node[] = [];
  while (!reader.done) {
    const text = reader.match(/[^{]+/y);
    if (text !== undefined) {
      found.push({ kind: 'text', text });
      continue;
    }
    reader.position += 1;
    reader.spaces();
    if (reader.match(/end\b/y) !== undefined) {
      reader.spaces();
      if (!reader.accept('}')) reader.fail('{end} must stand alone');
      if (!inRange) reader.fail('{end} without {range}');
      return found;
    }
    if (reader.match(/range\s+/y) !== undefined) {
      const path = steps(reader);
      reader.spaces();
      if (!reader.accept('}')) reader.fail('{range PATH must end with }');
      found.push({ kind: 'range', path, body: nodes(reader, true) });
      continue;
    }
    do {
      if (isQuote(reader.peek())) found.push({ kind: 'text', text: quoted(reader) });
      else {
        const path = steps(reader);
        if (path.length === 0)
          reader.fail(reader.done ? '{ is not closed by }' : `unexpected ${reader.peek()}`);
        found.push({ kind: 'path', path });
      }
      reader.spaces();
      if (reader.done) reader.fail('{ is not closed by }');
    } while (!reader.accept('}'));
  }
  if (inRange) reader.fail('{range} without {end}');
  return found;
};

/**
 * Parses a template. A bare path (`.status.phase`, no braces) is taken as `{.status.phase}`.
 *
 * Errors: a Usage Failure that names the place.
 */
export const parseJsonPath = (text: string): ReadonlyArray<Node> => {
  const bare = !text.includes('{') && /^[.[$]/.test(text);
  return nodes(new Reader(bare ? `{${text}}` : text), false);
};
