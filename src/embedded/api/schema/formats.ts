/** The `format` keyword, as far as Kubernetes checks it. */
import { isIP, isIPv4, isIPv6 } from 'node:net';

const dateTime =
  /^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])[Tt]([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)$/;

const checks: Readonly<Record<string, (text: string) => boolean>> = {
  'date-time': (text) => dateTime.test(text) && !Number.isNaN(Date.parse(text)),
  date: (text) => /^\d{4}-\d{2}-\d{2}$/.test(text) && !Number.isNaN(Date.parse(text)),
  byte: (text) => /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text),
  uuid: (text) => /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i.test(text),
  ipv4: (text) => isIPv4(text),
  ipv6: (text) => isIPv6(text),
  cidr: (text) => {
    const [address = '', bits = ''] = text.split('/');
    return isIP(address) !== 0 && /^\d{1,3}$/.test(bits);
  },
  uri: (text) => URL.canParse(text),
  hostname: (text) =>
    /^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$/.test(text),
  duration: (text) => /^-?([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$/.test(text),
};

/** How the value is to be printed when it does not have the format; undefined when it has, or nothing checks it. */
export const formatProblem = (format: string | undefined, value: string | number): string | undefined => {
  if (format === undefined) return undefined;
  if (typeof value === 'number') {
    const isTooLarge = format === 'int32' && (value > 2_147_483_647 || value < -2_147_483_648);
    return isTooLarge ? `"${value}"` : undefined;
  }
  const check = checks[format];
  return check === undefined || check(value) ? undefined : JSON.stringify(value);
};
