# bash completion for clipward(1).  The commands and their options are asked
# of the program itself, so this file knows none.

_clipward()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
	local program=${COMP_WORDS[0]} commands words=() i
	COMPREPLY=()
	commands=$("$program" --commands 2>/dev/null) || return
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-f | --config | --socket) ((i++)) ;;
		-*) ;;
		*) words+=("${COMP_WORDS[i]}") ;;
		esac
	done

	# The first word, or the second where a command has two.
	if ((${#words[@]} == 0)) && [[ $cur != -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W \
		    "$(cut -d' ' -f1 <<<"$commands" | sort -u)" -- "$cur")
		return
	fi
	if ((${#words[@]} == 1)) && [[ $cur != -* ]] &&
	    grep -q "^${words[0]} " <<<"$commands"; then
		mapfile -t COMPREPLY < <(compgen -W \
		    "$(sed -n "s/^${words[0]} //p" <<<"$commands")" -- "$cur")
		return
	fi

	case $prev in
	--precision) mapfile -t COMPREPLY < <(compgen -W "auto fp32 int8" -- "$cur"); return ;;
	--views) mapfile -t COMPREPLY < <(compgen -W "auto center whole cover" -- "$cur"); return ;;
	--explain) mapfile -t COMPREPLY < <(compgen -W "flagged always never" -- "$cur"); return ;;
	--method) mapfile -t COMPREPLY < <(compgen -W "additive raw rollout similarity" -- "$cur"); return ;;
	esac
	if [[ $cur == -* ]]; then
		local command=${words[0]}
		if grep -q "^$command " <<<"$commands"; then
			command="$command ${words[1]-}"
		fi
		# shellcheck disable=SC2086  # a command may be two words
		mapfile -t COMPREPLY < <(compgen -W "$("$program" $command \
		    --help 2>/dev/null | grep -oE -- '--[a-z-]+' | sort -u)" -- "$cur")
		return
	fi
	compopt -o default 2>/dev/null
}

complete -F _clipward clipward
