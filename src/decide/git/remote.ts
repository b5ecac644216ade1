/**
 * Which repository URLs are allowed? https and ssh alone, written so plainly that git, ssh and a shell cannot read
 * anything else into them: no option where a host is expected, no other transport, no credentials.
 */
import * as E from 'fp-ts/lib/Either.js';

/** An allowed URL, and the host it leads to. */
export type GitRemote = Readonly<{
  scheme: 'https' | 'ssh';
  /** Lower case, with `:port` where it is not the scheme's own: what credentials are given out by. */
  authority: string;
  url: string;
}>;

const MAX_LENGTH = 2048;
/** Labels of letters, digits and dashes that do not begin with a dash; or an IPv6 address in brackets. */
const HOST = String.raw`(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?)*\.?|\[[0-9A-Fa-f:.]+\])`;
const USER = '[A-Za-z0-9_][A-Za-z0-9._-]*';
const PATH = `[A-Za-z0-9._~!$&'()*+,;=:@%/-]+`;
const HTTPS = new RegExp(`^https://(${HOST})(?::([0-9]{1,5}))?/${PATH}$`);
const SSH = new RegExp(`^ssh://(?:${USER}@)?(${HOST})(?::([0-9]{1,5}))?/${PATH}$`);
/** The scp form; what follows the colon must not look like a port or an option. */
const SCP = new RegExp(`^${USER}@(${HOST}):(?!-|//)${PATH}$`);
/** Escapes of control characters, which some program on the way would take for a line's end. */
const CONTROL_ESCAPE = /%(?:[01][0-9A-Fa-f]|7[Ff])/;
const BAD_ESCAPE = /%(?![0-9A-Fa-f]{2})/;

/** An address written the one way that all programs read alike. */
const IPV4 = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/;
/** A host that ends like this is read as an address: 127.1, 0x7f.1 and 2130706433 are all 127.0.0.1 to some. */
const ENDS_AS_ADDRESS = /(?:^|\.)(?:\d+|0[xX][0-9A-Fa-f]*)$/;

const DEFAULT_PORTS = { https: 443, ssh: 22 } as const;

const authority = (scheme: keyof typeof DEFAULT_PORTS, host: string, port: string | undefined): string =>
  port === undefined || Number(port) === DEFAULT_PORTS[scheme]
    ? host.toLowerCase()
    : `${host.toLowerCase()}:${Number(port)}`;

const hasUserInfo = (url: string): boolean =>
  /^https:\/\/[^/]*@/i.test(url) || /^ssh:\/\/[^/@]*:[^/]*@/i.test(url);

/** The remote, or what is wrong with the URL. The URL itself is not repeated: it may hold a password. */
export const gitRemote = (url: string): E.Either<string, GitRemote> => {
  if (url.length > MAX_LENGTH) return E.left(`repoURL is longer than ${MAX_LENGTH} characters`);
  if (hasUserInfo(url))
    return E.left(
      'repoURL must not hold credentials, whoever may read the Run would read them; use a Secret and spec.git.credentials of the Runtime',
    );
  if (CONTROL_ESCAPE.test(url) || BAD_ESCAPE.test(url))
    return E.left('repoURL has an escape of a control character, or a % that is no escape');
  for (const [scheme, form] of [
    ['https', HTTPS],
    ['ssh', SSH],
    ['ssh', SCP],
  ] as const) {
    const match = form.exec(url);
    if (match === null) continue;
    const [, host = '', port] = match;
    if (port !== undefined && (Number(port) < 1 || Number(port) > 65_535))
      return E.left(`repoURL has the port ${port}, which does not exist`);
    const name = host.replace(/\.$/, '');
    if (ENDS_AS_ADDRESS.test(name) && !IPV4.test(name))
      return E.left(
        'repoURL has a host that ends as an IPv4 address does and is none: give four numbers, or a name',
      );
    return E.right({ scheme, authority: authority(scheme, host, port), url });
  }
  return E.left('repoURL is none of https://host/path, ssh://user@host/path and user@host:path');
};

/** The host of a Runtime's credentials as remotes name it. */
export const credentialsHost = (host: string): string => host.toLowerCase();
