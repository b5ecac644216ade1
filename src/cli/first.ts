/**
 * What comes with krt's first file: all that `krt version` needs, and what nearly every verb needs, since one file more
 * costs more than what is in it. See oneFirstFile in src/main/build.js.
 */
import './explain.js';
import './input.js';
import './output/print.js';
import './process-krt.js';
import './program.js';
import './resource/get.js';
