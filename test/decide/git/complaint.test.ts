/** What git says, as a Run's status repeats it. */
import { expect } from 'chai';
import fc from 'fast-check';

import { complaintOf, isBareHashRefused, isObjectMissing } from '../../../src/decide/git/complaint.js';

describe('complaintOf', () => {
  it('keeps the lines that tell, once each, in one line', () => {
    const stderr =
      'Cloning...\nremote: Not Found\nfatal: repository not found\r\nfatal: repository not found\n';
    expect(complaintOf(stderr, [])).to.equal('remote: Not Found; fatal: repository not found');
    expect(complaintOf('\n odd \n', [])).to.equal('odd');
    expect(complaintOf('', [])).to.equal('');
  });

  it('takes userinfo out of URLs, and headers and control characters out of the rest', () => {
    const stderr =
      "fatal: unable to access 'https://me:pa@ss@host/a': \u001b[31mAuthorization: Basic bWU6cGE=, failed\u0007";
    expect(complaintOf(stderr, [])).to.equal(
      "fatal: unable to access 'https://host/a': Authorization: *** failed",
    );
  });

  it('holds no secret, wherever the server puts it', () => {
    fc.assert(
      fc.property(
        fc
          .string({ minLength: 4, maxLength: 20 })
          .filter((text) => text.trim().length >= 4 && !'fatal: ***'.includes(text.trim())),
        fc.array(
          fc.constantFrom('fatal: ', 'remote: ', ' ', 'https://x:', '@', 'SECRET', '\n', 'SECRETSECRET'),
          {
            minLength: 1,
            maxLength: 12,
          },
        ),
        (secret, parts) => {
          const word = secret.trim().replaceAll(/\p{Cc}/gu, 'x');
          const text = complaintOf(
            parts.join('').replaceAll('SECRET', () => word),
            [word],
          );
          const plain = parts.join('').replaceAll('SECRET', '').replaceAll('\n', '; ');
          if (!plain.includes(word) && !'***; '.includes(word)) expect(text.includes(word)).to.equal(false);
        },
      ),
    );
  });

  it('is short', () => {
    expect(complaintOf(`fatal: ${'x'.repeat(5000)}`, []).length).to.be.at.most(400);
  });
});

describe('what the server answered', () => {
  it('is told apart', () => {
    const refused = `error: Server does not allow request for unadvertised object ${'a'.repeat(40)}`;
    const missing = `fatal: remote error: upload-pack: not our ref ${'a'.repeat(40)}`;
    expect([isBareHashRefused(refused), isObjectMissing(refused)]).to.deep.equal([true, false]);
    expect([isBareHashRefused(missing), isObjectMissing(missing)]).to.deep.equal([false, true]);
    expect(isBareHashRefused(`fatal: remote error: want ${'a'.repeat(40)} not valid`)).to.equal(true);
  });
});
