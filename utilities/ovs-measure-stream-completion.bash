# SPDX-License-Identifier: Apache-2.0
# Completion of ovs-measure-stream in bash: options, bridges, files, and within
# a quoted chain the stages and their arguments.

# What --list says of each stage, read once: "count", "count by=GROUP", ...
_ovs_measure_stream_stages=

_ovs_measure_stream_words () {
    if test -z "$_ovs_measure_stream_stages"; then
        _ovs_measure_stream_stages=$("${COMP_WORDS[0]}" --list 2> /dev/null \
            | awk '/^[a-z]/ { stage = $1; print stage }
                   /^    [^ ]/ { print stage, $1 }')
    fi
    echo "$_ovs_measure_stream_stages"
}

# Prints the arguments of stage $1.
_ovs_measure_stream_arguments () {
    _ovs_measure_stream_words \
        | awk -v stage="$1" '$1 == stage && NF > 1 && $2 ~ /=/ { print $2 }'
}

# Prints what may follow in the chain $1, whose last word is not finished: the
# whole chain with it.
_ovs_measure_stream_chain () {
    local chain=$1 before stage word
    local groups="flow pair source destination source-port destination-port
                  protocol port vlan tunnel"
    local conditions="source=PREFIX destination=PREFIX protocol=NAME
                      source-port=N destination-port=N port=NAME vlan=N
                      tunnel=N"
    local formats="text json csv alerts pcapng records"

    word=${chain##*[ |]}
    before=${chain%"$word"}
    # The stage that the word belongs to, or nothing if it is its name.
    stage=${before##*|}
    stage=${stage#"${stage%%[! ]*}"}
    stage=${stage%% *}
    if test -z "$stage"; then
        _ovs_measure_stream_words | awk 'NF == 1'
    else
        case $stage:$word in
            where:*,*) printf "${word%,*},%s\n" $conditions ;;
            where:*) printf '%s\n' $conditions ;;
            *:by=*) printf 'by=%s\n' $groups ;;
            distinct:of=*) printf 'of=%s\n' $groups ;;
            write:compress=*) printf 'compress=%s\n' zstd none ;;
            *:*=*) ;;
            write:*)
                # The format comes first.
                case ${before##*|} in
                    *write\ *[!\ ]*) _ovs_measure_stream_arguments write ;;
                    *) _ovs_measure_stream_arguments write
                       printf '%s\n' $formats ;;
                esac ;;
            where:* | pcap-filter:*) ;;
            *) _ovs_measure_stream_arguments "$stage"
               printf '%s\n' every=TIME replicas=N ;;
        esac
    fi | awk -v before="$before" -v word="$word" '
        index($0, word) == 1 { found[n++] = before $0 }
        END {
            # Behind a word that is the only one bash would close the quote.
            # With two, what they have in common is as far as it goes.
            if (n == 1 && found[0] ~ /=[^=]*[A-Z]/) {
                print found[0]
                sub(/=[^=]*$/, "=", found[0])
                print found[0]
            } else if (n == 1) {
                print found[0] " "
                print found[0] " |"
            } else {
                for (i = 0; i < n; i++) {
                    print found[i]
                }
            }
        }'
}

_ovs_measure_stream () {
    local current=$2 previous=$3 chain i
    local options="--bridge --read --pcap-file --pcap --write --headers --slots
                   --memory-mb --counters --accounting --count --duration
                   --progress --list --help --version"

    COMPREPLY=()
    # "=" divides words for bash, so that of --read=FILE the last one is FILE.
    if test "$previous" = "="; then
        previous=${COMP_WORDS[COMP_CWORD - 2]}
    elif test "$current" = "=" ; then
        current=
    fi
    case $previous in
        --bridge)
            COMPREPLY=($(compgen -W "$(ovs-vsctl --timeout=2 list-br \
                                       2> /dev/null)" -- "$current"))
            return ;;
        --read | --pcap-file | --write)
            COMPREPLY=($(compgen -f -- "$current"))
            compopt -o filenames 2> /dev/null
            return ;;
        --pcap | --slots | --memory-mb | --counters | --count | --duration)
            return ;;
    esac
    case ${COMP_WORDS[COMP_CWORD]} in
        \'* | \"*)
            chain=${COMP_WORDS[COMP_CWORD]#[\'\"]}
            while IFS= read -r i; do
                COMPREPLY+=("$i")
            done <<< "$(_ovs_measure_stream_chain "$chain")"
            test -n "${COMPREPLY[0]}" || COMPREPLY=()
            compopt -o nospace 2> /dev/null ;;
        -*)
            COMPREPLY=($(compgen -W "$options" -- "$current")) ;;
    esac
}

complete -F _ovs_measure_stream ovs-measure-stream
