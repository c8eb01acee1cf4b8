#!/usr/bin/env python3
"""A bot for Crowns: grows, takes the nearest oases, then marches to the Throne.

    python3 docs/bot.py --practice recruit        # a match against a bot, at once
    python3 docs/bot.py --data DIR                # at the seat of a running member
"""
import json, os, subprocess, sys

COST = {"spear": (30, 10, 20), "axe": (20, 40, 25)}


def orders(state):
    own = state["cities"][state["seat"] - 1]
    if sum(own["fields"]) < 9 and not own["site"]:
        weakest = min(range(3), key=lambda field: own["fields"][field])
        yield "build " + ("lumber", "mine", "farm")[weakest]
    unit = "axe" if own["home"][1] < 2 * own["home"][0] else "spear"
    count = min(have // cost for have, cost in zip(own["stock"], COST[unit]))
    if count >= 3 and own["rates"][2] > 20 and own["batches"] < 3:
        yield f"train {unit} {min(count, 5)}"
    axes, under_way = own["home"][1], {m["place"] for m in state["marches"] if m["seat"] == state["seat"]}
    distance = lambda place: max(abs(place["x"] - own["x"]), abs(place["y"] - own["y"]))
    free = [p for p in state["places"] if p["holder"] is None and p["place"] not in under_way]
    oases = [p for p in free if p["place"] != "throne" and distance(p) <= 3]
    if axes >= 6 and oases:
        yield f"march {min(oases, key=distance)['place']} --axes 6"
    elif axes >= 20 and state["clock_ms"] > 300_000 and "throne" not in under_way:
        yield f"march throne --axes {axes}"


def main():
    command = [os.environ.get("RAFTIAN", "raftian"), "bots", "serve", *sys.argv[1:]]
    game = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    for line in game.stdout:
        state = json.loads(line)
        for refused in state["refused"]:
            print("refused:", refused["order"], "-", refused["reason"], file=sys.stderr)
        if state["end"]:
            print("winner: seat", state["end"]["winner"], "after", state["end"]["at_ms"] // 1000, "s")
            break
        game.stdin.write("".join(order + "\n" for order in orders(state)) + "\n")
        game.stdin.flush()


main()
