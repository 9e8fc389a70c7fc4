# Source this in scripts that give words to a launcher, where bash reads them once more.
# check_words refuses each word in which bash would see more than a name, or the launcher the number
# of a job. Blanks and letters of any language are allowed.
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
