# SPDX-License-Identifier: MIT OR Apache-2.0
# Compares what differential.c printed with libxdp and with libxsk-compat:
#	awk -f compare.awk differences libxdp.txt ours.txt
# A verdict for each scenario. What the list `differences` names may differ; where it
# says `rest`, or where libxdp died, the rest of the scenario is not compared, but
# must end well with ours: alive, no descriptor, no mapping left.

function fail(name, why)
{
	print "not ok differential_" name ": " why
	failures++
}

# Whether the list allows it; sets `rest`.
function on_purpose(name, what, theirs, ours,    i)
{
	for (i = 1; i <= rules; i++)
		if (name ~ rule[i, 1] && what ~ rule[i, 2] && theirs ~ rule[i, 3] && ours ~ rule[i, 4]) {
			used[i]++
			if (rule[i, 5] == "rest")
				rest = 1
			return 1
		}
	return 0
}

function compare(name,    i, n, purpose, theirs, ours, what)
{
	if (!((name, 1) in line2)) {
		fail(name, "did not run with ours")
		return
	}
	n = count1[name] > count2[name] ? count1[name] : count2[name]
	rest = 0
	for (i = 1; i <= n && !rest; i++) {
		what = what2[name, i]
		theirs = line1[name, i]
		ours = line2[name, i]
		if (what1[name, i] == "end" && theirs ~ /^died/) {
			rest = purpose = 1
		} else if (what1[name, i] != what) {
			fail(name, "libxdp: " what1[name, i] " = " theirs "; ours: " what " = " ours)
			return
		} else if (theirs != ours) {
			if (!on_purpose(name, what, theirs, ours)) {
				fail(name, what ": libxdp: " theirs "; ours: " ours)
				return
			}
			purpose = 1
		}
	}
	ours = line2[name, count2[name]]
	if (what2[name, count2[name]] != "end" || ours !~ /^fds \+0 maps \+0 program/)
		fail(name, "ended with " what2[name, count2[name]] " = " ours)
	else
		print "ok differential_" name (purpose ? "_(differs_on_purpose)" : "")
}

FNR == 1 {
	file++
}

file == 1 && /^[^#]/ && NF {
	rules++
	n = split($0, fields, / *\| */)
	for (i = 1; i <= 5; i++)
		rule[rules, i] = i < 5 ? "^(" fields[i] ")$" : fields[i]
	for (i = 1; i <= 4; i++)
		gsub(/ or /, "|", rule[rules, i])
	source[rules] = $0
	if (n != 6)
		fail("list", "not six fields: " $0)
}

file > 1 {
	at = index($0, ": ")
	name = substr($0, 1, at - 1)
	line = substr($0, at + 2)
	at = index(line, " = ")
	# A call is what it says up to its result, which has no " = ".
	what = substr(line, 1, at - 1)
	line = substr(line, at + 3)
}

file == 2 {
	if (!(name in count1))
		order[++scenarios] = name
	what1[name, ++count1[name]] = what
	line1[name, count1[name]] = line
}

file == 3 {
	what2[name, ++count2[name]] = what
	line2[name, count2[name]] = line
}

END {
	for (s = 1; s <= scenarios; s++)
		compare(order[s])
	if (scenarios < 300)
		fail("list", "only " scenarios + 0 " scenarios ran")
	for (i = 1; i <= rules; i++)
		if (!used[i])
			print "# not needed: " source[i]
	exit failures != 0
}
