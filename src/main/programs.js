/** The programs of the package: name of the bundle in dist/ → its entry. */
export const programs = {
  krt: 'src/cli/main.ts',
  controller: 'src/controller/main.ts',
  runtimed: 'src/runtimed/main.ts',
  'bash-runtime': 'src/runtimes/bash/main.ts',
  apiserver: 'src/embedded/api/main.ts',
  kubelet: 'src/embedded/kubelet/main.ts',
  'control-plane': 'src/embedded/control-plane/main.ts',
};
