import { expect } from 'chai';

import { formatMs, narrator } from '../../src/demo/narrator.js';

const on = (color: boolean) => {
  let text = '';
  const say = narrator({
    color,
    write: (more) => {
      text += more;
    },
  });
  return { say, text: () => text };
};

describe('narrator', () => {
  it('writes no control character without colour', () => {
    const { say, text } = on(false);
    say.heading(1, 'A section');
    say.command('krt list', 'NAME\n', 12);
    say.check('it holds', true);
    say.check('it does not', false, { phase: 'Failed' });
    say.toCome('later');
    say.summary([{ title: 'A section', ...say.verdict(), ms: 3 }], 4);
    expect(text()).to.match(/^[\n\x20-\x7e]*$/);
    expect(text()).to.include('saw: {"phase":"Failed"}');
  });

  it('is coloured where it may be', () => {
    const { say, text } = on(true);
    say.check('it holds', true);
    expect(text()).to.include('\u001b[32mok\u001b[0m');
  });

  it('calls a section failed for one claim that does not hold, also where something is to come', () => {
    const { say } = on(false);
    say.heading(1, 'first');
    say.toCome('later');
    expect(say.verdict()).to.deep.equal({ verdict: 'ToCome', checks: 0 });
    say.check('a', true);
    say.check('b', false);
    expect(say.verdict()).to.deep.equal({ verdict: 'Failed', checks: 2 });
    say.heading(2, 'second');
    expect(say.verdict()).to.deep.equal({ verdict: 'Held', checks: 0 });
  });

  it('cuts long output in its middle', () => {
    const { say, text } = on(false);
    say.command('krt logs x', Array.from({ length: 100 }, (_, i) => `line ${i}`).join('\n'), 1);
    expect(text()).to.include('line 3\n').and.to.include('92 lines more').and.to.include('line 96\n');
    expect(text()).to.not.include('line 50\n');
  });
});

describe('formatMs', () => {
  it('has as many digits as say something', () => {
    expect([0.31, 12.4, 950.4, 2134].map(formatMs)).to.deep.equal(['0.3 ms', '12 ms', '950 ms', '2.13 s']);
  });
});
