/** Label selectors, equality and set based, as in `app=x,tier in (a,b),!old`. */
import { badRequest } from '../errors.js';

/** One requirement; all of a selector must hold. */
export type Requirement = Readonly<{
  key: string;
  operator: 'in' | 'notin' | 'exists' | '!' | 'gt' | 'lt';
  values: readonly string[];
}>;

/** Labels of an object. */
export type Labels = Readonly<Record<string, string>>;

const keyPattern =
  /^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;
const valuePattern = /^(([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9])?$/;

/** Whether a text can be a label's name, with an optional DNS prefix. */
export const isLabelKey = (text: string): boolean => keyPattern.test(text) && text.length <= 253 + 1 + 63;
/** Whether a text can be a label's value. */
export const isLabelValue = (text: string): boolean => valuePattern.test(text);

type Token = Readonly<{ kind: 'word' | 'symbol'; text: string }>;

const tokensOf = (text: string): Token[] => {
  const tokens: Token[] = [];
  const pattern = /\s*(?:(==|!=|[=!,()<>])|([^\s=!,()<>]+))/gy;
  let end = 0;
  for (let match = pattern.exec(text); match !== null; match = pattern.exec(text)) {
    end = pattern.lastIndex;
    const [, symbol, word] = match;
    tokens.push(symbol === undefined ? { kind: 'word', text: word ?? '' } : { kind: 'symbol', text: symbol });
  }
  if (text.slice(end).trim() !== '')
    throw badRequest(`unable to parse requirement: found '${text.slice(end).trim()}'`);
  return tokens;
};

/** Parses a selector; an empty text selects everything. Throws a 400 that says what was expected. */
export const parseLabelSelector = (text: string): Requirement[] => {
  const tokens = tokensOf(text);
  const requirements: Requirement[] = [];
  let i = 0;
  const fail = (found: Token | undefined, expected: string): never => {
    throw badRequest(`unable to parse requirement: found '${found?.text ?? ''}', expected: ${expected}`);
  };
  const key = (): string => {
    const token = tokens[i];
    if (token?.kind !== 'word') return fail(token, "!, identifier, or 'end of string'");
    if (!isLabelKey(token.text))
      throw badRequest(
        `unable to parse requirement: <nil>: Invalid value: ${JSON.stringify(token.text)}: name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')`,
      );
    i += 1;
    return token.text;
  };
  const value = (): string => {
    const token = tokens[i];
    if (token?.kind !== 'word') return '';
    if (!isLabelValue(token.text))
      throw badRequest(
        `unable to parse requirement: values[0][${requirements.length}]: Invalid value: ${JSON.stringify(token.text)}: a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')`,
      );
    i += 1;
    return token.text;
  };
  const list = (): string[] => {
    if (tokens[i]?.text !== '(') return fail(tokens[i], "'('");
    i += 1;
    const values: string[] = [];
    if (tokens[i] === undefined) return fail(undefined, "',', ')' or identifier");
    for (;;) {
      values.push(value());
      const token = tokens[i];
      i += 1;
      if (token?.text === ')') return values;
      if (token?.text !== ',') return fail(token, "',' or ')'");
    }
  };
  while (i < tokens.length) {
    if (tokens[i]?.text === '!') {
      i += 1;
      requirements.push({ key: key(), operator: '!', values: [] });
    } else {
      const name = key();
      const operator = tokens[i]?.text;
      if (operator === undefined || operator === ',')
        requirements.push({ key: name, operator: 'exists', values: [] });
      else {
        i += 1;
        if (operator === '=' || operator === '==')
          requirements.push({ key: name, operator: 'in', values: [value()] });
        else if (operator === '!=') requirements.push({ key: name, operator: 'notin', values: [value()] });
        else if (operator === 'in' || operator === 'notin')
          requirements.push({ key: name, operator, values: list() });
        else if (operator === '>' || operator === '<') {
          const bound = value();
          if (!/^-?[0-9]+$/.test(bound))
            throw badRequest(
              "unable to parse requirement: for 'Gt', 'Lt' operators, the value must be an integer",
            );
          requirements.push({ key: name, operator: operator === '>' ? 'gt' : 'lt', values: [bound] });
        } else return fail(tokens[i - 1], "in, notin, =, ==, !=, gt, lt, or 'end of string'");
      }
    }
    if (i < tokens.length) {
      if (tokens[i]?.text !== ',') return fail(tokens[i], "',' or 'end of string'");
      i += 1;
      if (i === tokens.length) return fail(undefined, "identifier after ','");
    }
  }
  return requirements;
};

const holds = ({ key, operator, values }: Requirement, labels: Labels): boolean => {
  const value = labels[key];
  switch (operator) {
    case 'exists':
      return value !== undefined;
    case '!':
      return value === undefined;
    case 'in':
      return value !== undefined && values.includes(value);
    case 'notin':
      return value === undefined || !values.includes(value);
    case 'gt':
      return value !== undefined && /^-?[0-9]+$/.test(value) && Number(value) > Number(values[0]);
    case 'lt':
      return value !== undefined && /^-?[0-9]+$/.test(value) && Number(value) < Number(values[0]);
  }
};

/** Whether labels satisfy all requirements. */
export const matchesLabels = (selector: readonly Requirement[], labels: Labels | undefined): boolean =>
  selector.every((requirement) => holds(requirement, labels ?? {}));
