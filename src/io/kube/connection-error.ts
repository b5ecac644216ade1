/** What a failed connection means: node's error → EffectError, with the server's name and what to try. */
import type { EffectError } from '../../model/effect-error.js';

/** Node's code of an error: ECONNREFUSED and the like; '' where it has none. */
export const codeOf = (error: unknown): string =>
  typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string'
    ? error.code
    : '';

const UNTRUSTED = "has a certificate that the kubeconfig's certificate-authority did not sign";

const BY_CODE: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'refused the connection; is it running? Check the address, or start one with: krt up',
  ENOTFOUND: 'has a host name that does not resolve; check the address in the kubeconfig',
  EAI_AGAIN: 'has a host name that cannot be resolved now; check the network and its DNS',
  EHOSTUNREACH: 'cannot be reached (no route to the host); check the network or the VPN',
  ENETUNREACH: 'cannot be reached (no route to the network); check the network or the VPN',
  ETIMEDOUT: 'did not answer; check the network, the VPN and firewalls',
  ECONNRESET: 'closed the connection before it answered',
  EPIPE: 'closed the connection before it answered',
  ERR_TLS_CERT_ALTNAME_INVALID: 'has a certificate for another name; check the address or tls-server-name',
  CERT_HAS_EXPIRED: 'has a certificate that has expired',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNTRUSTED,
  SELF_SIGNED_CERT_IN_CHAIN: UNTRUSTED,
  DEPTH_ZERO_SELF_SIGNED_CERT: UNTRUSTED,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNTRUSTED,
  CERT_SIGNATURE_FAILURE: UNTRUSTED,
  EPROTO: 'does not speak TLS as expected; check http against https in the address',
  HPE_INVALID_CONSTANT: 'does not speak HTTP; check http against https and the port',
};

/** All of a multi-address attempt's errors are of one kind mostly; the first one tells. */
const innermost = (error: unknown): unknown =>
  error instanceof AggregateError && error.errors.length > 0 ? error.errors[0] : error;

/** A request that got no answer. Always retryable: a server that is down or a certificate that is renewed may come. */
export const connectionError = (server: URL, what: string, error: unknown): EffectError => {
  const cause = innermost(error);
  const told = BY_CODE[codeOf(cause)] ?? BY_CODE[codeOf(error)];
  const raw = cause instanceof Error ? cause.message : String(cause);
  return {
    kind: codeOf(cause) === 'ETIMEDOUT' ? 'Timeout' : 'Unavailable',
    message: `cannot ${what}: the API server at ${server.origin} ${told ?? `cannot be reached: ${raw}`}`,
  };
};

/** No full answer within the limit. */
export const timeoutError = (server: URL, what: string, ms: number): EffectError => ({
  kind: 'Timeout',
  message: `cannot ${what}: the API server at ${server.origin} did not answer within ${ms / 1000} s`,
});
