# Completion of coo-llm for fish: put this file into ~/.config/fish/completions or /usr/share/fish/vendor_completions.d.

set -l commands check demo init hash-password plugins revert audit
set -l none "not __fish_seen_subcommand_from $commands"

complete -c coo-llm -f
complete -c coo-llm -s h -l help -d 'show this help message and exit'
complete -c coo-llm -n $none -s c -l config -o config -r -F -d 'serve with this configuration'
complete -c coo-llm -n $none -l validate -d 'only check the configuration'
complete -c coo-llm -n $none -l version -d "show program's version number and exit"

complete -c coo-llm -n $none -a check -d 'check a configuration and print every error'
complete -c coo-llm -n $none -a demo -d 'serve without any configuration, key or network'
complete -c coo-llm -n $none -a init -d 'write a configuration to start from'
complete -c coo-llm -n $none -a hash-password -d 'print the hash for webui.admin_password'
complete -c coo-llm -n $none -a plugins -d 'list the plugins found'
complete -c coo-llm -n $none -a revert \
    -d 'take back what was set through the admin API, where that cannot be reached'
complete -c coo-llm -n $none -a audit -d 'work with the audit log'

complete -c coo-llm -n '__fish_seen_subcommand_from check init revert' -F
complete -c coo-llm -n '__fish_seen_subcommand_from demo' -l port -x -d 'default: 2906'
complete -c coo-llm -n '__fish_seen_subcommand_from audit; and not __fish_seen_subcommand_from verify' \
    -a verify -d 'check its chain'
complete -c coo-llm -n '__fish_seen_subcommand_from verify' -F
