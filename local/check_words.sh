# Source this in scripts that pass words to a launcher, because bash parses these words once more.
# check_words refuses a word with shell syntax, or with JOB, which the launcher replaces. Blanks and
# letters of any language are allowed.
check_words() {
  local word special="[]\$\`\"'\\;&|<>(){}*?~#"
  for word; do
    case $word in
      *[]\[\$\`\"\'\\\;\&\|\<\>\(\)\{\}*?~#[:cntrl:]]* | *JOB*)
        printf '%s: a shell would not read %q as a name. Use none of %s, line breaks or JOB.\n' \
          "$0" "$word" "$special" >&2
        exit 1
        ;;
    esac
  done
}
