from voicecli.conversation.reply_hold import ReplyHold


def test_a_suspicion_ends_with_silence_and_words_of_before_mean_nothing() -> None:
    hold = ReplyHold()
    hold.suspect()
    assert not hold.cut_by_words(1.0)
    assert hold.silence(1.0)
    assert not hold.silence(2.0), "nothing was paused"
    assert not hold.cut_by_words(2.0)


def test_a_voice_ends_with_its_words_or_without_any() -> None:
    hold = ReplyHold()
    hold.suspect()
    hold.hear()
    assert not hold.silence(1.0), "its words are awaited"
    assert hold.cut_by_words(1.0)
    hold.hear()
    assert not hold.no_words(), "the second one may have some"
    assert hold.awaits_words
    assert hold.no_words()
    assert not hold.cut_by_words(1.0)


def test_a_suspicion_outlasts_the_news_that_an_earlier_voice_had_no_words() -> None:
    hold = ReplyHold()
    hold.hear()
    hold.suspect()
    assert not hold.no_words()
    assert hold.silence(1.0)


def test_the_words_of_an_overheard_voice_may_come_late() -> None:
    hold = ReplyHold()
    hold.overhear()
    assert hold.overheard(100.0)
    assert hold.silence(100.0)
    assert hold.cut_by_words(101.0)
    assert not hold.cut_by_words(110.0)
    assert not hold.overheard(110.0)


def test_a_cut_ends_all() -> None:
    hold = ReplyHold()
    hold.overhear()
    hold.hear()
    hold.forget()
    assert not hold.silence(1.0)
    assert not hold.cut_by_words(1.0)
