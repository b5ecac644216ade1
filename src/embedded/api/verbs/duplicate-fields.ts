/** Which members of a JSON text are written twice? JSON.parse keeps the last one silently. */

/** Paths of members that occur more than once in one object of a valid JSON text. */
export const duplicateFields = (text: string): string[] => {
  const found: string[] = [];
  let i = 0;
  const skipSpace = (): void => {
    while (text[i] === ' ' || text[i] === '\n' || text[i] === '\t' || text[i] === '\r') i += 1;
  };
  const string = (): string => {
    const start = i;
    i += 1;
    while (i < text.length && text[i] !== '"') i += text[i] === '\\' ? 2 : 1;
    i += 1;
    return text.slice(start + 1, i - 1);
  };
  const value = (path: string): void => {
    skipSpace();
    if (text[i] === '{') {
      i += 1;
      const seen = new Set<string>();
      skipSpace();
      while (i < text.length && text[i] !== '}') {
        skipSpace();
        const key = string();
        const inner = path === '' ? key : `${path}.${key}`;
        if (seen.has(key)) found.push(inner);
        seen.add(key);
        skipSpace();
        i += 1;
        value(inner);
        skipSpace();
        if (text[i] === ',') i += 1;
      }
      i += 1;
    } else if (text[i] === '[') {
      i += 1;
      let index = 0;
      skipSpace();
      while (i < text.length && text[i] !== ']') {
        value(`${path}[${index}]`);
        index += 1;
        skipSpace();
        if (text[i] === ',') i += 1;
      }
      i += 1;
    } else if (text[i] === '"') string();
    else while (i < text.length && !',]} \n\t\r'.includes(text[i] ?? '')) i += 1;
  };
  if (/^\s*\{/.test(text)) value('');
  return found;
};
