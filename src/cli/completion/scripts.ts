/** The completion scripts. Each asks `krt __complete` for the candidates of the last word. */

const bash = `# bash completion of krt. For this shell: source <(krt completion bash)
# For all: krt completion bash > ~/.local/share/bash-completion/completions/krt
_krt() {
  local i line word last prefix joins= words=()
  # bash takes words apart at = and :, krt takes them whole.
  for ((i = 1; i <= COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
    if [[ \${#words[@]} -gt 0 && ( -n $joins || $word == [=:]* ) ]]; then words[-1]+=$word; else words+=("$word"); fi
    joins=
    [[ $word == [=:] ]] && joins=1
  done
  last=\${words[-1]}
  prefix=\${last%"\${last##*[=:]}"}
  COMPREPLY=()
  while IFS= read -r line; do
    case $line in
      :files) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "\${last#"$prefix"}"); return ;;
      :folders) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "\${last#"$prefix"}"); return ;;
    esac
    word=\${line%%$'\\t'*}
    COMPREPLY+=("\${word#"$prefix"}")
  done < <("\${COMP_WORDS[0]}" __complete "\${words[@]}" 2>/dev/null)
  # A word that is still open, such as jsonpath=, gets no space after it.
  [[ \${#COMPREPLY[@]} -eq 1 && \${COMPREPLY[0]} == *= ]] && compopt -o nospace 2>/dev/null
  return 0
}
complete -F _krt krt
`;

const zsh = `#compdef krt
# zsh completion of krt. For this shell: source <(krt completion zsh)
# For all: krt completion zsh > "\${fpath[1]}/_krt"
_krt() {
  local line word
  local -a described
  while IFS= read -r line; do
    case $line in
      :files) _files; return ;;
      :folders) _files -/; return ;;
    esac
    word=\${line%%$'\\t'*}
    if [[ $line == *$'\\t'* ]]; then
      described+=("\${word//:/\\\\:}:\${line#*$'\\t'}")
    else
      described+=("\${word//:/\\\\:}")
    fi
  done < <("\${words[1]}" __complete "\${(@)words[2,CURRENT]}" 2>/dev/null)
  _describe krt described
}
if [[ "\${funcstack[1]}" == _krt ]]; then _krt "$@"; else compdef _krt krt; fi
`;

const fish = `# fish completion of krt. For this shell: krt completion fish | source
# For all: krt completion fish > ~/.config/fish/completions/krt.fish
function __krt_complete
  set -l words (commandline -opc)
  set -l last (commandline -ct)
  set -l offered ($words[1] __complete $words[2..-1] "$last" 2>/dev/null)
  switch "$offered[1]"
    case ':files'
      __fish_complete_path "$last"
    case ':folders'
      __fish_complete_directories "$last"
    case '*'
      printf '%s\\n' $offered
  end
end
complete -c krt -f -a '(__krt_complete)'
`;

/** The script of each shell. */
export const SCRIPTS = { bash, zsh, fish } as const satisfies Readonly<Record<string, string>>;
export type Shell = keyof typeof SCRIPTS;
