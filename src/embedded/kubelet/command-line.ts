/**
 * Which argv does a container run? As in Kubernetes: `command` replaces the image's, `args` are appended; references
 * are expanded, and mount paths at the start of a word become the folders that stand for them.
 */
import { expandReferences } from './expand.js';
import type { ImageCommand } from './images.js';
import { type Mount, rewriteMountPath } from './loopback.js';
import type { Container } from './pod.js';

export type CommandLine = Readonly<{ argv: ReadonlyArray<string>; watchesParent: boolean }>;

export const commandLine = (
  container: Container,
  image: ImageCommand,
  variables: ReadonlyMap<string, string>,
  mounts: ReadonlyArray<Mount>,
): CommandLine => {
  const own = container.command ?? [];
  const given = [...own, ...(container.args ?? [])].map((word) =>
    rewriteMountPath(expandReferences(word, variables), mounts),
  );
  return own.length > 0
    ? { argv: given, watchesParent: false }
    : { argv: [...image.argv, ...given], watchesParent: image.watchesParent };
};
