# SPDX-License-Identifier: GPL-2.0
#
# fish completion for klpctl(8)

function __klpctl_patches
    for patch in /sys/kernel/livepatch/*/
        basename $patch
    end
    awk '/\(.*K.*\)$/ { print $1 }' /proc/modules 2>/dev/null
end

function __klpctl_installed
    klpctl installed 2>/dev/null | awk 'NR > 1 { print $2 }'
end

set -l commands status list why wait check load install uninstall installed allow unload enable disable \
    force watch report metrics help
set -l of __fish_seen_subcommand_from

complete -c klpctl -f
complete -c klpctl -n "not $of $commands" -a "$commands"
complete -c klpctl -n "$of help" -a "$commands"
complete -c klpctl -n "not $of metrics help" -l json -d 'answer in JSON'
complete -c klpctl -n "not $of help" -l root -x -a '(__fish_complete_directories)' -d 'read a captured tree'
complete -c klpctl -n "not $of help" -l stuck-after -x -d 'from when a transition is stuck'
complete -c klpctl -s h -l help -d help
complete -c klpctl -s V -l version -d 'the version'
complete -c klpctl -n "$of status" -l nagios -d 'one line and exit codes for Nagios'
complete -c klpctl -n "$of list" -s v -l verbose -d 'sympos and state'
complete -c klpctl -n "$of why" -s n -l limit -x -d 'so many tasks'
complete -c klpctl -n "$of wait load unload enable disable" -s t -l timeout -x -d 'wait so long'
complete -c klpctl -n "$of load" -l revert-on-timeout -d 'take it back'
complete -c klpctl -n "$of load" -l replace -d 'unload another build first'
complete -c klpctl -n "$of load unload why list" -l all -d 'all'
complete -c klpctl -n "$of uninstall allow" -l kernel -x -d 'for another kernel'
complete -c klpctl -n "$of force" -s y -l yes -d 'do not ask'
complete -c klpctl -n "$of load install uninstall allow unload enable disable force" -l dry-run -d 'print the actions and take none'
complete -c klpctl -n "$of watch" -s i -l interval -x -d 'look so often'
complete -c klpctl -n "$of watch" -s c -l count -x -d 'so many looks'
complete -c klpctl -n "$of watch" -s u -l until-done -d 'end with the transition'
complete -c klpctl -n "$of report metrics" -s o -l output -r -F -d 'the file'
complete -c klpctl -n "$of load check install" -F
complete -c klpctl -n "$of status list why wait unload enable disable force" -a '(__klpctl_patches)'
complete -c klpctl -n "$of uninstall allow" -a '(__klpctl_installed)'
