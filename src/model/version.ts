/** The version of the package, taken in when it is built. */
import manifest from '../../package.json' with { type: 'json' };

/** Semantic version of all programs. */
export const version: string = manifest.version;
