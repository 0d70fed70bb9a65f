# Completion of coo-llm for bash: source this file, or install it as /usr/share/bash-completion/completions/coo-llm.

_coo_llm() {
    local current=${COMP_WORDS[COMP_CWORD]} at command=''
    for ((at = 1; at < COMP_CWORD; at++)); do
        case ${COMP_WORDS[at]} in
            -c | --config | -config) ((at++)) ;;
            -*) ;;
            *) command=${COMP_WORDS[at]}; break ;;
        esac
    done

    local words='-h --help' files=''
    case $command in
        '') words+=' -c --config -config --validate --version check demo init hash-password plugins revert audit' ;;
        check | init | revert) files='*.y*ml' ;;
        demo) words+=' --port' ;;
        audit) if ((at + 1 == COMP_CWORD)); then words+=' verify'; else files='*.log'; fi ;;
    esac
    case ${COMP_WORDS[COMP_CWORD - 1]} in
        -c | --config | -config) words='' files='*.y*ml' ;;
        --port) words='' ;;
    esac

    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
    [ -z "$files" ] || [[ $current == -* ]] || {
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -d -- "$current"; compgen -f -X "!$files" -- "$current")
    }
}
complete -F _coo_llm coo-llm
