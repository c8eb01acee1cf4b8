#!/usr/bin/env python3
"""A bot for Crowns: grows, takes the nearest oases, then marches to the Throne.

    python3 docs/bot.py --practice recruit        # a match against a bot, at once
    python3 docs/bot.py --data DIR                # at the seat of a running member

RAFTIAN names the program if it is not `raftian` on the path, for example
RAFTIAN=target/release/raftian. Ends with the exit code of the program.
"""
import json, os, subprocess, sys

COST = {"spear": (30, 10, 20), "axe": (20, 40, 25)}


def orders(state):
    own = state["cities"][state["seat"] - 1]
    stock = list(own["stock"])

    def pay(cost):
        """Takes a cost from the stock, if there is enough."""
        if cost is None or any(have < price for have, price in zip(stock, cost)):
            return False
        stock[:] = (have - price for have, price in zip(stock, cost))
        return True

    if sum(own["fields"]) < 9 and not own["site"]:
        weakest = min(range(3), key=lambda field: own["fields"][field])
        building = ("lumber", "mine", "farm")[weakest]
        if pay(own["costs"][building]):
            yield "build " + building
    unit = "axe" if own["home"][1] < 2 * own["home"][0] else "spear"
    count = min(have // cost for have, cost in zip(stock, COST[unit]))
    if count >= 3 and own["rates"][2] > 20 and own["batches"] < 3:
        yield f"train {unit} {min(count, 5)}"
    axes, under_way = own["home"][1], {m["place"] for m in state["marches"] if m["seat"] == state["seat"]}
    distance = lambda place: max(abs(place["x"] - own["x"]), abs(place["y"] - own["y"]))
    free = [p for p in state["places"] if p["holder"] is None and p["place"] not in under_way]
    oases = [p for p in free if p["place"] != "throne" and distance(p) <= 3]
    if axes >= 6 and oases:
        yield f"march {min(oases, key=distance)['place']} --axes 6"
    elif axes >= 20 and state["clock_ms"] > state["throne_opens_ms"] and "throne" not in under_way:
        yield f"march throne --axes {axes}"


def main():
    program = os.environ.get("RAFTIAN", "raftian")
    command = [program, "bots", "serve", *sys.argv[1:]]
    try:
        game = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    except OSError as error:
        sys.exit(f"cannot run {program}: {error.strerror}; set RAFTIAN to the path of the program")
    reasons = set()
    for line in game.stdout:
        state = json.loads(line)
        for refused in state["refused"]:
            # Each reason once: a bot repeats itself.
            if refused["reason"] not in reasons:
                reasons.add(refused["reason"])
                print("refused:", refused["order"], "-", refused["reason"], file=sys.stderr)
        if state["end"]:
            print("winner: seat", state["end"]["winner"], "after", state["end"]["at_ms"] // 1000, "s")
            break
        try:
            game.stdin.write("".join(order + "\n" for order in orders(state)) + "\n")
            game.stdin.flush()
        except BrokenPipeError:
            break
    try:
        game.stdin.close()
    except BrokenPipeError:
        pass  # The program has ended; its exit code follows.
    sys.exit(game.wait())


main()
