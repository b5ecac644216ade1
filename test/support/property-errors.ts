/**
 * A property that fails says with which error, not only with which values: fast-check keeps it as the `cause`, which
 * mocha's workers (`--parallel`) do not pass on. Loaded by .mocharc.yml, also for a single file.
 */
import * as fc from 'fast-check';

fc.configureGlobal({ ...fc.readConfigureGlobal(), includeErrorInReport: true });
