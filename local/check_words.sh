# Sourced by scripts that hand words to a launcher, where bash reads them once more: check_words refuses each in which bash would see more
# than a name, or the launcher the number of a job. Blanks, and letters of any language, are only a name.
check_words() {
  local word
  for word; do
    case $word in
      *[]\[\$\`\"\'\\\;\&\|\<\>\(\)\{\}*?~#[:cntrl:]]* | *JOB*)
        printf '%s: %q: got a name that a shell would read, need none of %s, line breaks or JOB. Rename it\n' "$0" "$word" "[]\$\`\"'\\;&|<>(){}*?~#" >&2
        exit 1
        ;;
    esac
  done
}
