/** `--image NAME=COMMAND` → name and command. The first `=` separates; image names have none. */
export const splitImageFlag = (text: string): readonly [string, string] => {
  const at = text.indexOf('=');
  if (at <= 0 || at === text.length - 1)
    throw new Error(`--image ${text}: expected NAME=COMMAND, such as --image python:3=python3`);
  return [text.slice(0, at), text.slice(at + 1)];
};
