# bash completion for clipward(1).  The commands and their options are asked
# of the program itself, so this file knows none.

_clipward()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
	local program=${COMP_WORDS[0]} commands command help words=() values=() i
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
		    "help $(cut -d' ' -f1 <<<"$commands" | sort -u)" -- "$cur")
		return
	fi
	if ((${#words[@]} == 1)) && [[ $cur != -* ]] &&
	    grep -q "^${words[0]} " <<<"$commands"; then
		mapfile -t COMPREPLY < <(compgen -W \
		    "$(sed -n "s/^${words[0]} //p" <<<"$commands")" -- "$cur")
		return
	fi

	command=${words[0]-}
	if [[ -n $command ]] && grep -q "^$command " <<<"$commands"; then
		command="$command ${words[1]-}"
	fi
	# shellcheck disable=SC2086  # a command may be two words
	help=$("$program" $command --help 2>/dev/null)
	# One name may want different values, or none: what it wants is said.
	case $([[ $prev =~ ^--[a-z]+$ ]] &&
	    grep -oE -m 1 -e " $prev [A-Z]+ " <<<"$help") in
	*"--precision P "*) values=(auto fp32 int8) ;;
	*"--views V "*) values=(auto center whole cover) ;;
	*"--explain WHEN "*) values=(flagged always never) ;;
	*"--method M "*) values=(additive raw rollout similarity) ;;
	esac
	if ((${#values[@]} > 0)); then
		mapfile -t COMPREPLY < <(compgen -W "${values[*]}" -- "$cur")
		return
	fi
	if [[ $cur == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(grep -oE -- '--[a-z-]+' \
		    <<<"$help" | sort -u)" -- "$cur")
		return
	fi
	compopt -o default 2>/dev/null
}

complete -F _clipward clipward
