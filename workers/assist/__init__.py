"""Rules on live calls: what is said, not said, and who speaks when becomes an alert at once.

docs/assist.md says how to write rules. Everything but the worker, its settings, metrics and the
file does no I/O: events and times in, alerts out.

worker     applies the rules to the calls of a partition, and writes alerts
reload     the rules in force, read again when their file changes

load       reads a rules file: rules, or all mistakes with their lines
document   the part of YAML that it may use
rules      the kinds of rules and their keys

program    the rules of a route and tenant, compiled
phrases    finds any number of phrases, one step per word
patterns   finds any number of regular expressions, in linear time
words      splits growing text into normalized words

call       one call: events in, changes of alerts out
track      the matches in the text of a track, as it grows and is revised
facts      what rules receive: matches, turns and gaps on one clock
kinds      the table of kinds: spoken (words), timing (who speaks when), trouble (failures)
watch      what they have in common
board      the alerts of a call: which are raised
explain    why a rule raised no alert in a call
"""
