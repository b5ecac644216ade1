/** What nobody uses is found by `npm run knip`: files, exports, dependencies. The programs are the entries. */
import { programs } from './src/main/programs.js';

export default {
  entry: [
    'src/main/*.js!',
    ...Object.values(programs).map((entry) => `${entry}!`),
    'test/**/*.test.ts',
    'test/bench/*.ts',
    // Started as processes of their own by tests.
    'test/fixtures/**/*.ts',
    'test/conformance/record-session.ts',
    // Built into the programs of a soak.
    'test/soak/inside.ts',
  ],
  project: ['src/**/*.{ts,js}!', 'streams/**/*.ts!', 'test/**/*.ts'],
  // Generated: exports more than we use.
  ignore: ['src/proto/gen/**'],
  // An exported name says what a file is about, also where only the file itself uses it as yet.
  ignoreExportsUsedInFile: true,
  ignoreDependencies: [
    // client-node's: pinned here so that `overrides` can name it; newer ones do not load on Node 20 (docs/adr/0005).
    'undici',
    // Called by buf, see src/proto/buf.gen.yaml.
    'ts-proto',
  ],
  // Warnings while parts are in work; what is unlisted or does not resolve is an error at once.
  rules: {
    duplicates: 'off',
    // Of the machine, not of npm: bash, coreutils, kubectl where there is one.
    binaries: 'off',
    files: 'warn',
    exports: 'warn',
    types: 'warn',
    dependencies: 'warn',
    devDependencies: 'warn',
  },
};
