/**
 * Which local command stands for an image?
 *
 * The project's own images are built in, under any registry and tag. Others are mapped by the user, by full
 * reference, by name without tag, or by the last part of the name; the most exact entry wins.
 */
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import * as E from 'fp-ts/lib/Either.js';
import * as t from 'io-ts';
import { PathReporter } from 'io-ts/lib/PathReporter.js';

/** A command, and whether it watches the parent pipe (`KRUNTIME_PARENT_FD`) as our own programs do. */
export type ImageCommand = Readonly<{ argv: ReadonlyArray<string>; watchesParent: boolean }>;

/** Image name → command. */
export type ImageTable = ReadonlyMap<string, ImageCommand>;

/** Content of `D/images.json`: image → command line or argv. */
export const ImagesFile = t.record(t.string, t.union([t.string, t.array(t.string)]));
export type ImagesFile = t.TypeOf<typeof ImagesFile>;

/** The folder of the bundled programs, whether we run from it or from the sources. */
export const programsFolder = (): string => {
  const here = dirname(fileURLToPath(import.meta.url));
  return here.endsWith(join('src', 'embedded', 'kubelet')) ? join(here, '../../../dist') : here;
};

/** The project's own images. */
export const ownImages = (programs: string, node: string = process.execPath): ImageTable =>
  new Map(
    [
      ['kruntimes-bash-runtime', 'bash-runtime.js'],
      ['kruntimes-runtimed', 'runtimed.js'],
    ].map(([image = '', file = '']) => [image, { argv: [node, join(programs, file)], watchesParent: true }]),
  );

const WORD = /\s*(?:((?:[^\s"'\\]|\\.|"(?:[^"\\]|\\.)*"|'[^']*')+)|(["']))/gy;

/** Splits a command line into words: blanks separate, quotes and backslashes keep; no other shell syntax. */
export const splitWords = (line: string): E.Either<string, ReadonlyArray<string>> => {
  const words: string[] = [];
  for (const [, word, openQuote] of line.matchAll(WORD)) {
    if (openQuote !== undefined || word === undefined)
      return E.left(`a quote is not closed in the command: ${line}`);
    words.push(
      word.replaceAll(
        /\\(.)|"((?:[^"\\]|\\.)*)"|'([^']*)'/g,
        (_, escaped: string | undefined, double: string | undefined, single: string | undefined) =>
          escaped ?? double?.replaceAll(/\\(["\\$`])/g, '$1') ?? single ?? '',
      ),
    );
  }
  return words.length === 0 ? E.left('the command is empty') : E.right(words);
};

/** Decodes a user's table; a Left names the bad entry. */
export const decodeImages = (content: unknown): E.Either<string, ImageTable> => {
  const decoded = ImagesFile.decode(content);
  if (E.isLeft(decoded)) return E.left(PathReporter.report(decoded).join('; '));
  const table = new Map<string, ImageCommand>();
  for (const [image, command] of Object.entries(decoded.right)) {
    const argv = typeof command === 'string' ? splitWords(command) : E.right(command);
    if (E.isLeft(argv)) return E.left(`image ${image}: ${argv.left}`);
    if (argv.right.length === 0) return E.left(`image ${image}: the command is empty`);
    table.set(image, { argv: argv.right, watchesParent: false });
  }
  return E.right(table);
};

/** `registry:5000/a/b:tag@sha256:...` → the names it may be mapped under, most exact first. */
const imageNames = (image: string): ReadonlyArray<string> => {
  const withoutDigest = image.replace(/@.*$/, '');
  const withoutTag = withoutDigest.replace(/:[^/:]*$/, '');
  const last = (name: string): string => name.slice(name.lastIndexOf('/') + 1);
  return [...new Set([image, withoutDigest, withoutTag, last(withoutDigest), last(withoutTag)])];
};

/** The command of an image: the user's entry if there is one, else one of ours. */
export const commandOfImage = (
  image: string,
  own: ImageTable,
  mapped: ImageTable,
): ImageCommand | undefined => {
  const names = imageNames(image);
  for (const table of [mapped, own])
    for (const name of names) {
      const command = table.get(name);
      if (command !== undefined) return command;
    }
  return undefined;
};

/** What a person reads when an image has no command. */
export const unknownImageMessage = (image: string): string =>
  `image "${image}" is not known to this local control plane; map it with: krt up --image ${image}=COMMAND`;
