/**
 * The folder a git command lives in: a HOME of its own, with all the configuration there is. Neither the machine's nor
 * a user's is read. Credentials are files here, 0600, for as long as the fetch takes: git hands them to the exact host
 * they are for, by its own credential-store, never to one it was redirected to.
 */
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { GitRemote } from '../../decide/git/remote.js';
import type { Credentials } from './credentials.js';
import { SourceFailure } from './failure.js';

export type Home = Readonly<{ folder: string; env: Readonly<Record<string, string>> }>;

/** A value of a configuration file. */
const quoted = (value: string): string => `"${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;

/** A word of a shell. */
const word = (value: string): string => `'${value.replaceAll("'", String.raw`'\''`)}'`;

/**
 * What stands in every HOME. No transport but the one asked for, no hooks, no filters (LFS is one), no submodules, no
 * dumb or bundled downloads; blobs are streamed rather than held, and one thread does the work.
 */
const config = (transport: string): ReadonlyArray<string> => [
  '[protocol]\n\tallow = never\n\tversion = 2',
  `[protocol "${transport}"]\n\tallow = always`,
  '[core]\n\thooksPath = /dev/null\n\tfsmonitor = false\n\tuntrackedCache = false\n\tsymlinks = true\n\tautocrlf = false',
  '\tprotectHFS = true\n\tprotectNTFS = true\n\tbigFileThreshold = 16m\n\tpackedGitWindowSize = 16m\n\tpackedGitLimit = 64m\n\tdeltaBaseCacheLimit = 32m\n\taskPass =\n\tlogAllRefUpdates = false',
  // A fetch must offer only what its own repository knows to be shallow, and not what came into the mirror since.
  '\talternateRefsCommand = :',
  '[credential]\n\thelper =\n\tinteractive = false',
  '[safe]\n\tdirectory = *',
  '[fetch]\n\tunpackLimit = 1\n\trecurseSubmodules = false\n\twriteCommitGraph = false',
  '[transfer]\n\tbundleURI = false\n\tcredentialsInUrl = die',
  '[submodule]\n\trecurse = false',
  '[pack]\n\tthreads = 1',
  '[gc]\n\tauto = 0\n[maintenance]\n\tauto = false',
  '[http]\n\tfollowRedirects = initial\n\tlowSpeedLimit = 1\n\tlowSpeedTime = 60\n\tsslVerify = true\n\tproactiveAuth = none',
];

const baseEnvironment = (folder: string): Record<string, string> => ({
  ...(process.env.PATH === undefined ? {} : { PATH: process.env.PATH }),
  // The mark by which the process kubelet finds what a container has left.
  ...(process.env.KRT_POD === undefined ? {} : { KRT_POD: process.env.KRT_POD }),
  HOME: folder,
  XDG_CONFIG_HOME: folder,
  TMPDIR: folder,
  LC_ALL: 'C',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: join(folder, '.gitconfig'),
  GIT_ATTR_NOSYSTEM: '1',
  GIT_TERMINAL_PROMPT: '0',
  GIT_ADVICE: '0',
  GIT_OPTIONAL_LOCKS: '0',
});

const writePrivate = (path: string, text: string): Promise<void> =>
  writeFile(path, text, { mode: 0o600, flag: 'wx' });

/** A folder for commands that reach nobody; whoever made it removes it. */
export const makeLocalHome = async (folder: string): Promise<Home> => {
  await mkdir(folder, { mode: 0o700 });
  await writePrivate(join(folder, '.gitconfig'), `${config('none').join('\n')}\n`);
  return { folder, env: baseEnvironment(folder) };
};

const httpsParts = async (
  folder: string,
  { authority }: GitRemote,
  { username, password, 'ca.crt': ca }: Credentials,
): Promise<ReadonlyArray<string>> => {
  const parts: string[] = [];
  if (password !== undefined) {
    const [name, secret] = [username ?? 'git', password].map((text) => encodeURIComponent(text.trimEnd()));
    const path = join(folder, 'credentials');
    await writePrivate(path, `https://${name}:${secret}@${authority}\n`);
    parts.push(`[credential]\n\thelper = ${quoted(`store --file=${word(path)}`)}`);
  }
  if (ca !== undefined) {
    const path = join(folder, 'ca.crt');
    await writePrivate(path, ca);
    parts.push(`[http]\n\tsslCAInfo = ${quoted(path)}`);
  }
  return parts;
};

const SSH_OPTIONS = [
  'BatchMode=yes',
  'StrictHostKeyChecking=yes',
  'GlobalKnownHostsFile=/dev/null',
  'UpdateHostKeys=no',
  'IdentitiesOnly=yes',
  'IdentityAgent=none',
  'PreferredAuthentications=publickey',
  'ClearAllForwardings=yes',
  'ForwardAgent=no',
  'PermitLocalCommand=no',
  'ProxyCommand=none',
  'ControlMaster=no',
  'ControlPath=none',
  'ConnectTimeout=30',
  'ServerAliveInterval=15',
  'ServerAliveCountMax=4',
  'LogLevel=ERROR',
];

const sshCommand = async (
  folder: string,
  { authority }: GitRemote,
  { known_hosts: hosts, 'ssh-privatekey': key }: Credentials,
): Promise<string> => {
  if (hosts === undefined || key === undefined)
    throw new SourceFailure(
      'PrepareSource',
      `there are no credentials for ssh to ${authority}: name a Secret with ssh-privatekey and known_hosts for this host in spec.git.credentials of the Runtime`,
    );
  const [hostsFile, keyFile] = [join(folder, 'known_hosts'), join(folder, 'key')];
  await writePrivate(hostsFile, `${hosts.trimEnd()}\n`);
  await writePrivate(keyFile, `${key.trimEnd()}\n`);
  const options = [...SSH_OPTIONS, `UserKnownHostsFile=${hostsFile}`, `IdentityFile=${keyFile}`];
  return ['ssh', '-F', 'none', ...options.flatMap((option) => ['-o', option])].map(word).join(' ');
};

/** A folder for one fetch from `remote`; whoever made it removes it. */
export const makeRemoteHome = async (
  folder: string,
  remote: GitRemote,
  credentials: Credentials,
): Promise<Home> => {
  await mkdir(folder, { mode: 0o700 });
  await chmod(folder, 0o700);
  const parts = remote.scheme === 'https' ? await httpsParts(folder, remote, credentials) : [];
  await writePrivate(join(folder, '.gitconfig'), `${[...config(remote.scheme), ...parts].join('\n')}\n`);
  const env = baseEnvironment(folder);
  return remote.scheme === 'https'
    ? { folder, env }
    : {
        folder,
        env: {
          ...env,
          GIT_SSH_COMMAND: await sshCommand(folder, remote, credentials),
          GIT_SSH_VARIANT: 'ssh',
        },
      };
};
