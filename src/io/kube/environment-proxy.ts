/**
 * The proxy that the environment names, by the rules that kubectl has from Go: HTTPS_PROXY or HTTP_PROXY (either may be
 * in lower case) by the server's scheme, NO_PROXY with its exceptions, and never for this very machine.
 */
import { isIP } from 'node:net';

type Environment = Readonly<Record<string, string | undefined>>;

const portOf = ({ port, protocol }: URL): string => port || (protocol === 'https:' ? '443' : '80');

const octets = (address: string): number =>
  address.split('.').reduce((sum, octet) => sum * 256 + Number(octet), 0);

/** Only IPv4: nobody was seen to except IPv6 networks. */
const isInNetwork = (host: string, network: string): boolean => {
  const [base = '', bits = ''] = network.split('/');
  if (isIP(host) !== 4 || isIP(base) !== 4 || !/^\d{1,2}$/.test(bits) || Number(bits) > 32) return false;
  const size = 2 ** (32 - Number(bits));
  return Math.floor(octets(host) / size) === Math.floor(octets(base) / size);
};

/** One entry of NO_PROXY: `*`, a host with or without port, a domain, an address, a network. */
const excepts = (entry: string, host: string, port: string): boolean => {
  if (entry === '*') return true;
  if (entry.includes('/')) return isInNetwork(host, entry);
  const [, name = entry, only] = /^(.*?)(?::(\d+))?$/.exec(entry) ?? [];
  if (only !== undefined && only !== port) return false;
  const domain = name.replace(/^\*?\./, '');
  const isExact = name === host || (!name.startsWith('.') && domain === host);
  return domain !== '' && (isExact || (isIP(host) === 0 && host.endsWith(`.${domain}`)));
};

const isThisMachine = (host: string): boolean =>
  host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));

/** URL of the proxy for this server, as it is in the environment; undefined: none. */
export const environmentProxy = (server: URL, env: Environment): string | undefined => {
  const named = (name: string): string => env[name] || env[name.toLowerCase()] || '';
  const proxy = named(server.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY');
  const host = server.hostname.replace(/^\[|\]$/g, '').toLowerCase();
  if (proxy === '' || isThisMachine(host)) return undefined;
  const exceptions = named('NO_PROXY')
    .split(',')
    .map((entry) => entry.trim().toLowerCase())
    .filter((entry) => entry !== '');
  return exceptions.some((entry) => excepts(entry, host, portOf(server))) ? undefined : proxy;
};
