"""What step 07 concludes of a method, in words that the page of results (step 00) shares."""

# the methods that maximise the reward model; DPO and the exam's key are only measured by it
ON_PROXY = ("ppo", "rloo", "grpo")
VERDICTS = {
    "hacking": "the proxy reward rose and the gold reward fell, as in reward hacking",
    "proxy rose, gold fell": (
        "the proxy reward, which this method does not maximise, rose and the gold reward fell"
    ),
    "both rose": "both rewards rose",
    "only the proxy rose": "the proxy reward rose; the gold reward did not change clearly",
    "only the gold fell": "the proxy reward did not rise clearly, and the gold reward fell",
    "no clear rise": "the proxy reward did not rise clearly",
}

PROXY_ROSE = ("hacking", "proxy rose, gold fell", "both rose", "only the proxy rose")
GOLD_FELL = ("hacking", "proxy rose, gold fell", "only the gold fell")
