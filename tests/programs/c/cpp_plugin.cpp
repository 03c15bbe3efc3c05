// The C++ object of cpp_host: throws and catches 3000 exceptions, and says how many it caught.
#include <atomic>
#include <stdexcept>
#include <thread>

static void thrower()
{
    throw std::runtime_error("thrown");
}

static void catch_on_thread(std::atomic<int> &caught)
{
    std::thread([&caught] {
        try {
            thrower();
        } catch (const std::runtime_error &) {
            caught++;
        }
    }).join();
}

extern "C" int throw_and_catch(void (*call_back)(void (*)()))
{
    std::atomic<int> caught{0};
    for (int i = 0; i < 1000; i++) {
        try {
            thrower();
        } catch (const std::exception &) {
            caught++;
        }
        try {
            call_back(thrower);
        } catch (...) {
            caught++;
        }
        catch_on_thread(caught);
    }
    return caught;
}
