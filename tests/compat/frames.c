/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * frames FROM TO COUNT: sends numbered frames on one interface and says how many
 * arrived whole at the other, in any order, none twice. `frames -a IF` says how a
 * program is attached to an interface.
 */

#include "common.h"

int main(int argc, char **argv)
{
	static uint8_t seen[100000];
	unsigned int count, sent = 0, got = 0, bad = 0;
	uint64_t until = now_ms() + 10000;
	int from, to;

	if (argc == 3 && argv[1][0] == '-') {
		puts(attached_how(argv[2]));
		return 0;
	}
	if (argc != 4)
		return 2;
	from = stack_open(argv[1]);
	to = stack_open(argv[2]);
	count = (unsigned int)atoi(argv[3]);
	if (count > sizeof(seen))
		return 2;
	while (got + bad < count && now_ms() < until) {
		long number;

		/* No more on their way than any ring has room for. */
		while (sent < count && sent < got + bad + 32) {
			stack_send(from, sent, 60 + sent % 1400);
			sent++;
		}
		number = stack_receive(to, 2000);
		if (number == -1)
			break;
		if (number < 0 || number >= (long)count || seen[number])
			bad++;
		else
			seen[number] = 1, got++;
	}
	while (stack_receive(to, 50) != -1)
		bad++;
	printf("%u of %u arrived, %u damaged or twice\n", got, count, bad);
	return got != count || bad != 0;
}
