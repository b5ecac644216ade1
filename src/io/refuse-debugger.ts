/** Who may look into a program of ours while it runs? Nobody, through Node's debugger. */

/**
 * SIGUSR1 starts Node's debugger: a port on loopback that runs whatever it is sent, for whoever reaches it. Any script
 * of the same user can send that signal, meant for something else or not. A listener of ours takes its place.
 */
export const refuseDebugger = (): void => {
  process.on('SIGUSR1', () => undefined);
};
